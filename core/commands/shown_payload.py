"""A payload as its action's display hints say that a person is shown it; nothing of it is left out."""

from __future__ import annotations

from collections.abc import Mapping
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


def hints_by_action(settings: Settings) -> Mapping[str, DisplayHints]:
    """Return the hints of the actions of all plugins that load cleanly; none is started."""
    from core.commands.loaded import loaded_app

    plugins = loaded_app(settings).registry.components("plugin")
    return {entry.spec.type: entry.spec.display for plugin in plugins for entry in plugin.entries}
