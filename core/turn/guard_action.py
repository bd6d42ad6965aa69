"""Asking the guards whether an action may run; a guard that should be there and is not blocks."""

from __future__ import annotations

from core.contracts.actions import MESSAGE_ACTION, ActionEnvelope, ActionSpec
from core.contracts.hooks import Block, TurnContext
from core.turn.environment import TurnEnvironment


async def guard_action(
    env: TurnEnvironment, turn: TurnContext, spec: ActionSpec, envelope: ActionEnvelope
) -> Block | None:
    """Return why an action is blocked, or None. What brings a guard back, and what tells of it, is not blocked so."""
    told = envelope.type == MESSAGE_ACTION and not envelope.payload.get("to")
    if not told:
        for plugin, why in env.missing_guards(spec.plugin):
            return Block(f"The plugin {plugin} is to check every action and is out of use ({why}).")
    return await env.hooks.guard("before_action", turn, envelope)
