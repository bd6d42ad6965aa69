"""Claiming an input and opening its turn, or taking up one that was interrupted or waited for an approval."""

from __future__ import annotations

from typing import Any

from core.contracts.inputs import InputKind
from core.services import approvals, history, inbox, joined_inputs, ledger, own_quotes
from core.services.inbox import Claimed
from core.turn.environment import TurnEnvironment
from core.turn.state import Turn


def claim_and_open(conn: Any, env: TurnEnvironment, *, lane: str = "", input_id: int = 0) -> Turn | None:
    """Claim the head of a lane, or one input that passes its lane by, and open its turn; None: nothing to claim."""
    now_ms = env.clock.now_ms()
    if lane:
        claimed = inbox.claim_head(conn, lane, env.owner, now_ms)
    else:
        claimed = inbox.claim_one(conn, input_id, env.owner, now_ms)
    return None if claimed is None else _open(conn, env, claimed, now_ms)


def _open(conn: Any, env: TurnEnvironment, claimed: Claimed, now_ms: int) -> Turn:
    input = claimed.input
    lane = str(input.address)
    turn_id = claimed.turn_id
    # What goes on does so in its own conversation, whichever the chat has turned to meanwhile.
    begun_in = history.find(conn, ledger.session_of(conn, turn_id), lane) if turn_id else None
    session = begun_in or history.open_session(conn, lane, now_ms)
    if not turn_id:
        turn_id = ledger.open_turn(
            conn,
            input_id=claimed.lease.input_id,
            session_id=session.id,
            lane=lane,
            principal=str(input.principal),
            origin=input.origin.value,
            now_ms=now_ms,
        )
        inbox.opened(conn, claimed.lease, turn_id)
        if _reads_freely(env, session.engine):
            claimed = joined_inputs.claim_behind(conn, claimed, turn_id, now_ms)
        again = False
    else:
        claimed, again = joined_inputs.claim_again(conn, claimed, now_ms), True
    turn = Turn(
        id=turn_id,
        input=own_quotes.judged(conn, claimed.input),
        lease=claimed.lease,
        session=session,
        role=env.people.role(input.principal),
        resumed=claimed.resumed,
        received_at_ms=claimed.received_at_ms,
    )
    if again:
        _take_up(conn, turn, now_ms)
    return turn


def _reads_freely(env: TurnEnvironment, engine: str) -> bool:
    """Whether several messages can be put to the engine as one: a grammar of set phrases reads one at a time."""
    chain = env.engines.chain(engine)
    return bool(chain) and chain[0].engine.capabilities.language_model


def _take_up(conn: Any, turn: Turn, now_ms: int) -> None:
    """Read what was recorded of the turn, so that nothing of it is asked or done again."""
    ledger.reopen_turn(conn, turn.id)
    ledger.end_unseen(conn, turn.id, "The process stopped while it ran.", now_ms)
    record = ledger.load_turn(conn, turn.id)
    turn.steps = list(record.steps)
    turn.replies = record.replies
    turn.entries = record.entries
    turn.done_by_calls = record.called
    seen = (turn.input.tainted, *(s.tainted for s in turn.steps), *(r.tainted for r in turn.replies))
    turn.tainted = any(seen)
    turn.grants = approvals.grants(conn, turn.id)
    input_id = turn.lease.input_id
    if turn.input.kind is InputKind.CONTINUATION:
        approval = approvals.find(conn, turn.input.data["approval_id"])
        # Recorded by an earlier run of this continuation: its step is committed, there is nothing left to approve.
        if approval is not None and approval.state in ("approved", "used") and _is_next(turn, approval.step):
            turn.approved = approval
        input_id = ledger.input_of(conn, turn.id)
        turn.input = own_quotes.judged(conn, joined_inputs.load(conn, input_id, turn.id))
    turn.undoes = inbox.undoes(conn, input_id)


def _is_next(turn: Turn, asked_in_step: int) -> bool:
    return turn.number == asked_in_step + 1
