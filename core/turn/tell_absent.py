"""Telling who has typed a command of a plugin that is out of use that it is so, and why, as far as they may know."""

from __future__ import annotations

import asyncio

from core.contracts.inputs import Role
from core.near_names import full_stop
from core.registry.out_of_use import condition, owner_of_command, way_back
from core.turn.environment import TurnEnvironment


async def tell_absent(word: str, role: Role, env: TurnEnvironment) -> str:
    """Return what is said of a command that is not there: "" unless a plugin that is out of use has it.

    Trainers hear why and what brings it back, users which plugin it is and its state, guests that it is away.
    """
    plugin = await asyncio.to_thread(owner_of_command, env.plugins(), word)
    if plugin is None:
        return ""
    if role is not Role.TRAINER and role is not Role.USER:
        return f"/{word} cannot be used at the moment."
    has = f"/{word} is a command of the plugin {plugin.name}, which is out of use"
    if role is Role.USER:
        return f"{has} ({plugin.state.value}). A trainer can bring it back."
    return env.masker.text(f"{full_stop(f'{has} ({condition(plugin)})')} {way_back(plugin)}")
