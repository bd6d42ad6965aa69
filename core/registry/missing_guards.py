"""Guards that should be asked and cannot be: their plugin is out of use, and nobody has wanted it so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from core.registry.component import Component, ComponentState
from core.registry.discovery import Found

GUARD = "before_action"
WANTED_OUT = (ComponentState.ACTIVE, ComponentState.DISABLED)
MOST_FILES = 200


def missing_guards(components: Iterable[Component]) -> tuple[tuple[str, str], ...]:
    """Return (plugin, state and reason) of each: what they guard must wait until they are back, or disabled."""
    return tuple(
        (c.name, f"{c.state.value}: {c.reason}" if c.reason else c.state.value)
        for c in components
        if c.kind == "plugin" and c.guards and c.state not in WANTED_OUT
    )


def may_guard(found: Found) -> bool:
    """Whether the source of a plugin that is not loaded names the guard; read, not run."""
    if found.folder is None:
        return False
    source = Path(found.source)
    files = [source] if source.is_file() else sorted(source.rglob("*.py"))[:MOST_FILES] if source.is_dir() else []
    for file in files:
        with contextlib.suppress(OSError):
            if GUARD.encode() in file.read_bytes():
                return True
    return False
