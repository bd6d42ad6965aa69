"""A payload as its action's display hints say that a person is shown it; nothing of it is left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from core.contracts.actions import DisplayHints
from core.contracts.json import compact

if TYPE_CHECKING:
    from core.settings import Settings


def shown_payload(hints: DisplayHints, payload: Any) -> str:
    """Return verb, path and command as words, and what is left of the payload behind them as JSON."""
    if not isinstance(payload, dict):
        return compact(payload)
    fields = [name for name in (hints.path_field, hints.command_field) if isinstance(payload.get(name), str)]
    said = ": ".join(filter(None, (hints.verb, *(payload[name] for name in fields))))
    rest = {name: value for name, value in payload.items() if name not in fields}
    return " ".join(filter(None, (said, compact(rest) if rest or not said else "")))


def hints_by_action(settings: Settings, actions: Collection[str]) -> Mapping[str, DisplayHints]:
    """Return the hints of actions, of the plugins that load cleanly; those that may have some are loaded alone."""
    from core.commands.wanted_plugins import plugins_that_say

    wanted = plugins_that_say(settings, DisplayHints.__name__, actions) if actions else set()
    if not wanted:
        return {}
    from core.commands.loaded import loaded_app

    app = loaded_app(settings, only=lambda found: found.source in wanted)
    return {e.spec.type: e.spec.display for plugin in app.registry.components("plugin") for e in plugin.entries}
