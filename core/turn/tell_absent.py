"""Telling who has typed a command of a plugin that is out of use that it is so, and why, as far as they may know."""

from __future__ import annotations

import asyncio

from core.contracts.inputs import Role
from core.near_names import full_stop
from core.registry.out_of_use import condition, owner_of_command, way_back
from core.turn.environment import Generation, TurnEnvironment
from core.turn.stages.read_command import CommandError, command_name
from core.turn.state import Turn


async def tell_absent(turn: Turn, env: TurnEnvironment, generation: Generation, read: CommandError) -> CommandError:
    """Return what is said of a command that cannot be read: as `read` says, unless a plugin out of use has it.

    Trainers hear why and what brings it back, users which plugin it is and its state, guests that it is away.
    """
    word = command_name(turn.input.text)
    if not word or word in generation.commands:
        return read
    plugin = await asyncio.to_thread(owner_of_command, env.plugins(), word)
    if plugin is None:
        return read
    if turn.role is not Role.TRAINER and turn.role is not Role.USER:
        return CommandError(f"/{word} cannot be used at the moment.")
    has = f"/{word} is a command of the plugin {plugin.name}, which is out of use"
    if turn.role is Role.USER:
        return CommandError(f"{has} ({plugin.state.value}). A trainer can bring it back.")
    return CommandError(env.masker.text(f"{full_stop(f'{has} ({condition(plugin)})')} {way_back(plugin)}"))
