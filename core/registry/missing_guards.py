"""Guards that should be asked and cannot be: their plugin is out of use, and nobody has wanted it so."""

from __future__ import annotations

from collections.abc import Iterable

from core.registry.component import OWN, Component, ComponentState
from core.registry.discovery import Found
from core.registry.out_of_use import condition, source_texts

GUARD = "before_action"
WANTED_OUT = (ComponentState.ACTIVE, ComponentState.DISABLED)


def missing_guards(components: Iterable[Component], plugin: str) -> tuple[tuple[str, str], ...]:
    """Return (plugin, state and reason) of each that is missed for the actions of a plugin.

    These actions must wait until they are back, or disabled; those of the core, which bring them back, need not.
    """
    plugins = [component for component in components if component.kind == "plugin"]
    if any(c.name == plugin and c.source == OWN for c in plugins):
        return ()
    return tuple((c.name, condition(c)) for c in plugins if c.guards and c.state not in WANTED_OUT)


def may_guard(found: Found) -> bool:
    """Whether the source of a plugin that is not loaded names the guard; read, not run."""
    return any(GUARD.encode() in text for text in source_texts(found))
