"""`/undo`: the compensation of what was done last becomes the action of the turn, under the same gate and ledger."""

from __future__ import annotations

from core.contracts.actions import ActionEnvelope
from core.services import compensations
from core.turn.environment import TurnEnvironment
from core.turn.stages.read_command import CommandError
from core.turn.state import Turn

UNDO_ACTION = "core_undo"


async def what_is_undone(turn: Turn, env: TurnEnvironment) -> ActionEnvelope | CommandError:
    """Return the action that takes back what the principal did last in this chat."""
    asked = turn.input
    found = await env.database.read(
        lambda conn: compensations.last(conn, asked.principal, asked.address, but_turn=turn.id)
    )
    if found is None:
        return CommandError("There is nothing of yours in this chat that could be taken back.")
    turn.undoes = found.id
    return found.undo
