"""Plugins that are out of use: which of them has what was asked for, and what brings it back."""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from core.registry.component import Component, ComponentState
from core.registry.discovery import Found

MOST_FILES = 200
IN_USE = (ComponentState.ACTIVE, ComponentState.FOUND)


def owner_of_command(components: Iterable[Component], word: str) -> Component | None:
    """Return the plugin out of use that has the slash command of that name. Blocks: it may read files."""
    written = re.compile(rf"""\bcommand["']?\s*[=:]\s*["']{re.escape(word)}["']""".encode())
    return next((c for c in _out(components) if _declares(c, word) or (not c.entries and _says(c, written))), None)


def owner_of_group(components: Iterable[Component], word: str) -> Component | None:
    """Return the plugin out of use that has `rekku NAME …`, or is called so. Blocks: it may read files."""
    written = re.compile(rf"""\bCommandGroup\(\s*(?:name\s*=\s*)?["']{re.escape(word)}["']""".encode())
    return next((c for c in _out(components) if _says(c, written) or c.name == word), None)


def condition(component: Component) -> str:
    """Return the state of a plugin and why it is in it, such as "disabled: disabled by command (console:you)"."""
    return f"{component.state.value}: {component.reason}" if component.reason else component.state.value


def way_back(component: Component) -> str:
    """Return what brings a plugin back into use, for a trainer in a chat."""
    name, state = component.name, component.state
    if state is ComponentState.FAILED:
        return f"Once that is mended, `/plugins reload {name}` brings it back."
    if state is ComponentState.DEGRADED:
        return f"It comes back by itself once it is well; `/plugins reload {name}` tries at once."
    if component.waits_for:
        return f"It comes back with {component.waits_for}."
    if state is ComponentState.DISABLED and not component.reason:
        return f"Remove `enabled = false` of [plugins.{name}] in rekku.toml, then write `/plugins enable {name}`."
    return f"`/plugins enable {name}` brings it back."


def source_texts(found: Found) -> Iterator[bytes]:
    """Yield the files of a plugin, which are read and not run; none where nobody knows them."""
    source = _top(found)
    if source is None:
        return
    files = [source] if source.is_file() else sorted(source.rglob("*.py"))[:MOST_FILES] if source.is_dir() else []
    for file in files:
        with contextlib.suppress(OSError):
            yield file.read_bytes()


def _top(found: Found) -> Path | None:
    if found.folder is not None:
        return Path(found.source)
    if not found.module:
        return None
    try:
        spec = importlib.util.find_spec(found.module)  # of a top-level name: it imports nothing
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin:
        return None
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin


def _out(components: Iterable[Component]) -> list[Component]:
    return [c for c in components if c.kind == "plugin" and c.state not in IN_USE]


def _declares(component: Component, word: str) -> bool:
    return any(entry.spec.command == word for entry in component.entries)


def _says(component: Component, pattern: re.Pattern[bytes]) -> bool:
    return component.found is not None and any(pattern.search(text) for text in source_texts(component.found))
