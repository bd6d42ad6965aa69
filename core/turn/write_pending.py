"""Writing ledger rows together with what their actions write: the database part of acting and of committing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from core.contracts.actions import ActionEnvelope
from core.contracts.errors import LeaseLost, RekkuError, StorageUnavailable
from core.contracts.outcomes import OutcomeStatus
from core.services import approvals, compensations, inbox, ledger, outbox
from core.turn.environment import TurnEnvironment
from core.turn.state import PendingAction, Turn
from core.turn.tell_events import tell_written

log = structlog.get_logger("rekku.actions")

RETRY_AFTER_S = 2.0
MOST_TRIES_TO_WRITE = 30


class WriteFailed(Exception):
    """What an action handed to `ctx.write` raised; the transaction is undone as a whole."""

    def __init__(self, pending: PendingAction, reason: str) -> None:
        super().__init__(reason)
        self.pending = pending
        self.reason = reason


def write_rows(
    conn: Any, turn: Turn, env: TurnEnvironment, pendings: Sequence[PendingAction], now_ms: int
) -> list[tuple[int, str]]:
    """Write pending actions on `conn`; return the ids and addresses of new outbox rows. Raises WriteFailed."""
    rows: list[tuple[int, str]] = []
    for whole in pendings:
        for pending in whole.with_calls():
            try:
                rows += _write_one(conn, turn, env, pending, now_ms)
            except _NotWritten as error:
                raise WriteFailed(whole, error.reason) from error.__cause__
            if turn.undoes and pending is whole and pending.action.outcome.status is OutcomeStatus.DONE:
                compensations.undone(conn, turn.undoes, turn.id)
    return rows


class _NotWritten(Exception):
    """What an action wants to write raised; `reason` is a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _write_one(
    conn: Any, turn: Turn, env: TurnEnvironment, pending: PendingAction, now_ms: int
) -> list[tuple[int, str]]:
    action = pending.action
    for fn in pending.writes:
        try:
            fn(conn)
        except (StorageUnavailable, LeaseLost):
            raise
        except Exception as error:
            sentence = error.explain() if isinstance(error, RekkuError) else f"{type(error).__name__}: {error}"
            raise _NotWritten(env.masker.text(sentence.splitlines()[0])) from error
    if action.ledger_id:
        ledger.end_action(conn, action.ledger_id, action.outcome, now_ms)
    else:
        use_approval(conn, turn, pending.position)
        ledger.record_action(
            conn,
            turn_id=turn.id,
            step=turn.number,
            position=pending.position,
            envelope=ActionEnvelope(type=action.envelope.type, payload=env.masker.value(action.envelope.payload)),
            effect=pending.effect,
            principal=str(turn.input.principal),
            outcome=action.outcome,
            started_at_ms=pending.started_at_ms,
            now_ms=now_ms,
        )
    if action.outcome.status is OutcomeStatus.DONE and pending.undo is not None:
        compensations.keep(
            conn,
            turn_id=turn.id,
            action_id=f"{turn.id}.{turn.number}.{pending.position}",
            action=action.envelope.type,
            principal=turn.input.principal,
            lane=turn.input.address,
            undo=pending.undo,
            now_ms=now_ms,
        )
    if pending.approval is not None:
        approvals.ask(conn, pending.approval, now_ms)
    addresses = [str(part.address) for part, _ in pending.parts]
    return list(zip(outbox.put(conn, pending.parts, turn.id, now_ms), addresses, strict=True))


def use_approval(conn: Any, turn: Turn, position: int) -> None:
    """Use up the approval that this run continues with: its action is the first of the run's first step."""
    if turn.approved is not None and position == 0:
        approvals.use(conn, turn.approved.id)


async def write_pending(turn: Turn, env: TurnEnvironment, pendings: Sequence[PendingAction]) -> None:
    """Write pending actions in a transaction of their own, before the step is complete; raises WriteFailed."""
    now_ms = env.clock.now_ms()

    def write(conn: Any) -> list[tuple[int, str]]:
        inbox.check(conn, turn.lease, now_ms)
        return write_rows(conn, turn, env, pendings, now_ms)

    rows = await env.database.transact(write)
    env.reached("pending written")
    turn.sent += rows
    turn.note_calls(pendings)
    env.committed(rows)
    tell_written(env, turn, pendings)


async def write_end(turn: Turn, env: TurnEnvironment, pending: PendingAction) -> None:
    """Write how an external action ended; the world has it by now, so this waits for a database that is away."""
    for _ in range(MOST_TRIES_TO_WRITE):
        try:
            return await write_pending(turn, env, [pending])
        except StorageUnavailable as error:
            log.warning("the end of an action waits for the database", action=pending.action.envelope.type)
            away = error
        await env.clock.sleep(RETRY_AFTER_S)
    raise away
