"""The plugins of the core itself: its commands, and the actions that the model has of it."""

from __future__ import annotations

from collections.abc import Callable

from core.registry.component import OWN
from core.registry.discovery import Found
from core.turn.core_actions import Controls, CoreActions
from core.turn.environment import TurnEnvironment
from core.turn.people_actions import PeopleActions
from core.turn.plugin_actions import PluginActions
from core.turn.session_actions import SessionActions


def core_plugins(
    env: Callable[[], TurnEnvironment], controls: Controls, timezone: str, plugin_actions: PluginActions
) -> list[Found]:
    """Return them, to be loaded before all others: no plugin can take the name of one of them."""
    own: dict[str, object] = {
        "core": CoreActions(env, controls),
        "core_people": PeopleActions(env),
        "core_sessions": SessionActions(env, timezone),
        "core_plugins": plugin_actions,
    }

    def found(name: str, plugin: object) -> Found:
        return Found(kind="plugin", name=name, source=OWN, load=lambda: plugin)

    return [found(name, plugin) for name, plugin in own.items()]
