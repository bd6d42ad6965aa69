"""The intent of an external action is committed before its handler is called."""

from __future__ import annotations

import asyncio
from typing import Any

from core.contracts.actions import ActionEnvelope, Effect
from core.services import approvals, inbox, ledger
from core.turn.environment import TurnEnvironment
from core.turn.state import Turn
from core.turn.write_pending import use_approval


async def record_intent(
    turn: Turn, env: TurnEnvironment, position: int, envelope: ActionEnvelope, started_at_ms: int
) -> int:
    """Return the id of the row, committed; when this is cancelled, the intent is taken back first."""
    masked = ActionEnvelope(type=envelope.type, payload=env.masker.value(envelope.payload))

    def intend(conn: Any) -> int:
        inbox.check(conn, turn.lease, started_at_ms)
        use_approval(conn, turn, position)
        return ledger.record_action(
            conn,
            turn_id=turn.id,
            step=turn.number,
            position=position,
            envelope=masked,
            effect=Effect.EXTERNAL.value,
            principal=str(turn.input.principal),
            outcome=None,
            started_at_ms=started_at_ms,
            now_ms=started_at_ms,
        )

    intending = asyncio.ensure_future(env.database.transact(intend))
    try:
        return await asyncio.shield(intending)
    except asyncio.CancelledError:
        await asyncio.shield(_take_back(turn, env, intending, position))
        raise


async def _take_back(turn: Turn, env: TurnEnvironment, intending: asyncio.Future[int], position: int) -> None:
    """Undo an intent whose handler was never called: there is nothing unknown about it."""
    row_id = await intending
    now_ms = env.clock.now_ms()

    def undo(conn: Any) -> None:
        inbox.check(conn, turn.lease, now_ms)
        ledger.forget_intent(conn, row_id)
        if turn.approved is not None and position == 0:
            approvals.give_back(conn, turn.approved.id)

    await env.database.transact(undo)
