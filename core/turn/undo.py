"""`/undo`: the compensation of what was done last becomes the action of the turn, under the same gate and ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.contracts.actions import ActionEnvelope
from core.services import compensations, inbox
from core.services.compensations import Compensation
from core.turn.environment import TurnEnvironment
from core.turn.stages.read_command import CommandError
from core.turn.state import Turn

UNDO_ACTION = "core_undo"


async def what_is_undone(turn: Turn, env: TurnEnvironment) -> ActionEnvelope | CommandError:
    """Return the action that takes back what the principal did last in this chat.

    It is chosen once: a turn that is taken up again takes back the same, also when that was done by then.
    """
    asked, now_ms = turn.input, env.clock.now_ms()

    def choose(conn: Any) -> Compensation | None:
        inbox.check(conn, turn.lease, now_ms)
        if turn.undoes:
            return compensations.find(conn, turn.undoes)
        last = compensations.last(conn, asked.principal, asked.address, but_turn=turn.id)
        if last is not None:
            inbox.note_undoes(conn, turn.lease.input_id, last.id)
        return last

    # Whatever is done with it is committed behind it, so a power cut that undoes this undoes that as well.
    found = await env.database.transact(choose, durable=False)
    if found is None:
        return CommandError("There is nothing of yours in this chat that could be taken back.")
    turn.undoes = found.id
    return found.undo


async def undone_meanwhile(turn: Turn, env: TurnEnvironment) -> Mapping[str, str]:
    """Return, by its hash, that an action which was approved is not run: another turn took the same back by now."""
    if not turn.undoes or turn.approved is None:
        return {}
    found = await env.database.read(lambda conn: compensations.find(conn, turn.undoes))
    if found is None or found.undone_by in (0, turn.id):
        return {}
    return {turn.approved.envelope.hash: "it was taken back while it waited."}
