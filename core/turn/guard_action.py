"""Asking the guards whether an action may run; a guard that should be there and is not blocks."""

from __future__ import annotations

from core.contracts.actions import MESSAGE_ACTION, ActionEnvelope, ActionSpec
from core.contracts.hooks import Block, TurnContext
from core.contracts.inputs import Role
from core.near_names import full_stop
from core.registry.component import ComponentState
from core.registry.out_of_use import way_back
from core.services.hooks import Unchecked
from core.turn.environment import TurnEnvironment

SWITCHES = "core_plugins"
"""The command that takes a guard out of use, or brings it back: one that is broken cannot hold it up."""


async def guard_action(
    env: TurnEnvironment, turn: TurnContext, spec: ActionSpec, envelope: ActionEnvelope
) -> Block | None:
    """Return why an action is blocked, or None; Unchecked where a guard is missing or does not work.

    What brings a guard back is not blocked so, nor is, where one is missing, what tells of it.
    """
    told = envelope.type == MESSAGE_ACTION and not envelope.payload.get("to")
    if not told:
        for plugin, why in env.missing_guards(spec.plugin):
            return Unchecked(f"The plugin {plugin} is to check every action and is out of use ({why}).", plugin)
    blocked = await env.hooks.guard("before_action", turn, envelope)
    return None if isinstance(blocked, Unchecked) and spec.type == SWITCHES else blocked


def told_of_unchecked(env: TurnEnvironment, role: Role, held_up: Unchecked) -> str:
    """Return what whoever asked is told of an action that no guard could check: the turn ends with it."""
    name = held_up.plugin
    if role is not Role.TRAINER:
        which = f"The plugin {name}" if role is Role.USER else "A plugin"
        return (
            f"{which} is to check everything that I do and does not work, so I have stopped. A trainer can mend it."
        )
    component = next((c for c in env.plugins() if c.name == name), None)
    back = "" if component is None or component.state is ComponentState.ACTIVE else f" {way_back(component)}"
    return env.masker.text(
        f"I have stopped, since the plugin {name} is to check everything that I do. {full_stop(held_up.reason)}"
        f"{back} `/plugins disable {name}` lets me go on without it."
    )
