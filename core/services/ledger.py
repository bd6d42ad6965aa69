"""Turns, their recorded replies and steps, and the ledger of what was done. Functions of a connection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from core.contracts.actions import ActionEnvelope
from core.contracts.engine import EngineReply
from core.contracts.json import JsonObject, canonical, compact
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.steps import RecordedAction, Step
from core.storage.tables import inbox, ledger, replies, steps, turns

STARTED = "started"
CALLED_FROM = 1000
"""Positions from here on are those of actions that an action of the step has called, in the order of the calls."""
CALLED_OF_ONE = 100
"""So many of them belong to the action at position 0, so many to that at 1, and so on."""
SETTLED = (OutcomeStatus.DONE, OutcomeStatus.UNKNOWN)
"""What ended so in a turn, or may have, is not done again in it."""
UNSEEN = "{how} It may have happened; it is not repeated by itself."


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedReply:
    """A raw reply that stands in the table: it is used again after a restart, the model is not asked."""

    text: str
    engine: str
    tainted: bool
    finish_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One action that was begun or ended: where it stands, the action, and its outcome (None: no end is known)."""

    row_id: int
    step: int
    position: int
    envelope: ActionEnvelope
    outcome: Outcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """What is known of a turn that was begun before: committed steps, replies and actions of the open one.

    called: by hash, what actions of any step have called and what ended, or may have.
    """

    steps: tuple[Step, ...] = ()
    replies: tuple[RecordedReply, ...] = ()
    entries: tuple[LedgerEntry, ...] = ()
    called: dict[str, Outcome] = field(default_factory=dict)


_new_turn = insert(turns)
_new_reply = insert(replies)
_new_step = insert(steps)
_new_entry = insert(ledger)
_end_turn = (
    update(turns)
    .where(turns.c.id == bindparam("turn"))
    .values(state=bindparam("now"), reason=bindparam("why"), steps=bindparam("n"), ended_at_ms=bindparam("at"))
)
_end_entry = (
    update(ledger)
    .where(ledger.c.id == bindparam("row"))
    .values(
        status=bindparam("now"),
        reason=bindparam("why"),
        output=bindparam("out"),
        tainted=bindparam("mark"),
        ended_at_ms=bindparam("at"),
    )
)


def open_turn(
    conn: Any, *, input_id: int, session_id: int, lane: str, principal: str, origin: str, now_ms: int
) -> int:
    """Open a turn and return its id."""
    values = {
        "input_id": input_id,
        "session_id": session_id,
        "lane": lane,
        "principal": principal,
        "origin": origin,
        "state": "running",
        "reason": "",
        "steps": 0,
        "started_at_ms": now_ms,
        "ended_at_ms": 0,
    }
    turn_id: int = conn.execute(_new_turn, values).inserted_primary_key[0]
    return turn_id


def reopen_turn(conn: Any, turn_id: int) -> None:
    """Let a turn that waited for an approval, or was interrupted, go on."""
    conn.execute(update(turns).where(turns.c.id == turn_id).values(state="running", reason="", ended_at_ms=0))


def end_turn(conn: Any, turn_id: int, state: str, reason: str, step_count: int, now_ms: int) -> None:
    """Note how a turn ended."""
    conn.execute(_end_turn, {"turn": turn_id, "now": state, "why": reason, "n": step_count, "at": now_ms})


def record_reply(
    conn: Any, turn_id: int, step: int, attempt: int, engine: str, reply: EngineReply, tainted: bool, now_ms: int
) -> None:
    """Record a raw reply of a model, before anything of it runs."""
    values = {
        "turn_id": turn_id,
        "step": step,
        "attempt": attempt,
        "engine": engine,
        "model": reply.model[:190],
        "text": reply.text.encode("utf-8", "backslashreplace").decode(),
        "finish_reason": reply.finish_reason[:40],
        "prompt_bytes": reply.prompt_bytes,
        "prompt_tokens": reply.usage.prompt_tokens,
        "cached_tokens": reply.usage.cached_tokens,
        "completion_tokens": reply.usage.completion_tokens,
        "tainted": tainted,
        "at_ms": now_ms,
    }
    conn.execute(_new_reply, values)


def record_step(conn: Any, turn_id: int, number: int, tainted: bool, now_ms: int) -> None:
    """Note that a step is complete: all its actions have outcomes."""
    conn.execute(_new_step, {"turn_id": turn_id, "number": number, "tainted": tainted, "at_ms": now_ms})


def record_action(
    conn: Any,
    *,
    turn_id: int,
    step: int,
    position: int,
    envelope: ActionEnvelope,
    effect: str,
    principal: str,
    outcome: Outcome | None,
    started_at_ms: int,
    now_ms: int,
) -> int:
    """Write a ledger row; `outcome` None is the intent of an external action. Returns the row's id."""
    values: JsonObject = {
        "turn_id": turn_id,
        "step": step,
        "position": position,
        "action": envelope.type[:190],
        "payload": compact(envelope.payload),
        "hash": envelope.hash,
        "effect": effect,
        "principal": principal,
        "status": STARTED,
        "reason": "",
        "output": None,
        "tainted": False,
        "approval_id": "",
        "started_at_ms": started_at_ms,
        "ended_at_ms": 0,
    }
    if outcome is not None:
        values |= {
            "status": outcome.status.value,
            "reason": outcome.reason,
            "output": None if outcome.output is None else compact(outcome.output),
            "tainted": outcome.tainted,
            "approval_id": outcome.approval_id,
            "ended_at_ms": now_ms,
        }
    row_id: int = conn.execute(_new_entry, values).inserted_primary_key[0]
    return row_id


def end_action(conn: Any, row_id: int, outcome: Outcome, now_ms: int) -> None:
    """Note the end of an external action whose intent stands in the ledger."""
    values = {
        "row": row_id,
        "now": outcome.status.value,
        "why": outcome.reason,
        "out": None if outcome.output is None else compact(outcome.output),
        "mark": outcome.tainted,
        "at": now_ms,
    }
    conn.execute(_end_entry, values)


def end_unseen(conn: Any, turn_id: int, how: str, now_ms: int) -> None:
    """End what a turn began and nobody saw the end of: unknown. `how`: in a sentence, what came in between.

    What an action has called, and nobody saw the end of either, is named in its reason too.
    """
    columns = (ledger.c.id, ledger.c.step, ledger.c.position, ledger.c.action, ledger.c.status)
    unseen = (STARTED, OutcomeStatus.UNKNOWN.value)
    statement = select(*columns).where(ledger.c.turn_id == turn_id, ledger.c.status.in_(unseen))
    rows = conn.execute(statement.order_by(ledger.c.step, ledger.c.position)).all()
    for row in rows:
        if row.status == STARTED:
            first = CALLED_FROM + row.position * CALLED_OF_ONE
            called = [r.action for r in rows if r.step == row.step and 0 <= r.position - first < CALLED_OF_ONE]
            reason = UNSEEN.format(how=how)
            if called:
                reason = f"{called_unseen(called)}: {reason}"
            end_action(conn, row.id, Outcome(status=OutcomeStatus.UNKNOWN, reason=reason), now_ms)


def called_unseen(types: Sequence[str]) -> str:
    """Return how the reason of an action begins that has called others whose end nobody saw."""
    return f"{' and '.join(dict.fromkeys(types))}, which it called"


def forget_intent(conn: Any, row_id: int) -> None:
    """Remove the intent of an action that was not begun after all."""
    conn.execute(delete(ledger).where(ledger.c.id == row_id, ledger.c.status == STARTED))


def load_turn(conn: Any, turn_id: int) -> TurnRecord:
    """Read what was recorded of a turn, to go on where it stopped."""
    committed = conn.execute(select(steps).where(steps.c.turn_id == turn_id).order_by(steps.c.number)).all()
    rows = conn.execute(
        select(ledger).where(ledger.c.turn_id == turn_id).order_by(ledger.c.step, ledger.c.position)
    ).all()
    # What an action called was a part of it, and is nothing that the turn goes on with; but it has been done.
    entries = [_entry(row) for row in rows if row.position < CALLED_FROM]
    called = [_entry(row) for row in rows if row.position >= CALLED_FROM]
    following = len(committed)
    raw = conn.execute(
        select(replies).where(replies.c.turn_id == turn_id, replies.c.step == following).order_by(replies.c.attempt)
    ).all()
    return TurnRecord(
        steps=tuple(
            Step(
                number=step.number,
                tainted=step.tainted,
                actions=tuple(
                    RecordedAction(envelope=entry.envelope, outcome=entry.outcome, ledger_id=entry.row_id)
                    for entry in entries
                    if entry.step == step.number and entry.outcome is not None
                ),
            )
            for step in committed
        ),
        replies=tuple(
            RecordedReply(text=row.text, engine=row.engine, tainted=row.tainted, finish_reason=row.finish_reason)
            for row in raw
        ),
        entries=tuple(entry for entry in entries if entry.step == following),
        called={
            entry.envelope.hash: entry.outcome
            for entry in called
            if entry.outcome is not None and entry.outcome.status in SETTLED
        },
    )


def _entry(row: Any) -> LedgerEntry:
    outcome = None
    if row.status != STARTED:
        outcome = Outcome(
            status=OutcomeStatus(row.status),
            reason=row.reason,
            output=None if row.output is None else json.loads(row.output),
            tainted=row.tainted,
            approval_id=row.approval_id,
        )
    return LedgerEntry(
        row_id=row.id,
        step=row.step,
        position=row.position,
        envelope=ActionEnvelope(type=row.action, payload=json.loads(row.payload)),
        outcome=outcome,
    )


def listing(conn: Any, limit: int, turn_id: int | None = None) -> list[JsonObject]:
    """Return ledger rows for people, newest first, or those of one turn in order."""
    columns = ("id", "turn_id", "step", "position", "action", "payload", "principal", "effect", "status", "reason")
    statement = select(*(ledger.c[name] for name in (*columns, "tainted", "started_at_ms", "ended_at_ms")))
    if turn_id is None:
        statement = statement.order_by(ledger.c.id.desc()).limit(limit)
    else:
        statement = statement.where(ledger.c.turn_id == turn_id).order_by(ledger.c.id)
    return [dict(row._mapping) | {"payload": json.loads(row.payload)} for row in conn.execute(statement)]


def show(conn: Any, row_id: int) -> JsonObject | None:
    """Return one ledger row whole, with its turn and the input that caused it; None when there is none."""
    row = conn.execute(select(ledger).where(ledger.c.id == row_id)).one_or_none()
    if row is None:
        return None
    turn = conn.execute(select(turns).where(turns.c.id == row.turn_id)).one()
    cause = conn.execute(select(inbox.c.kind, inbox.c.body).where(inbox.c.id == turn.input_id)).one_or_none()
    shown = dict(row._mapping)
    shown["payload"] = json.loads(row.payload)
    shown["output"] = None if row.output is None else json.loads(row.output)
    shown["turn"] = dict(turn._mapping)
    if cause is not None:
        shown["input"] = {"kind": cause.kind, "text": json.loads(cause.body)["text"]}
    return shown


def last_usage(conn: Any, session_id: int) -> JsonObject | None:
    """Return the newest recorded reply of a session's turns, without its text."""
    row = conn.execute(
        select(
            replies.c.engine,
            replies.c.model,
            replies.c.prompt_bytes,
            replies.c.prompt_tokens,
            replies.c.cached_tokens,
            replies.c.completion_tokens,
        )
        .join(turns, turns.c.id == replies.c.turn_id)
        .where(turns.c.session_id == session_id)
        .order_by(replies.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else dict(row._mapping)


def summary_line(action: RecordedAction) -> str:
    """Return what stays of an action in the history of later turns: one line, without its output."""
    payload = canonical(action.envelope.payload)
    if len(payload) > 160:
        payload = payload[:157] + "…"
    reason = f" ({action.outcome.reason[:120]})" if action.outcome.reason else ""
    status = action.outcome.status
    return f"{action.envelope.type} {payload}: {status}{reason if status is not OutcomeStatus.DONE else ''}"


def outcomes_text(actions: Sequence[RecordedAction]) -> str:
    """Return the JSON array in which the model is shown what became of its actions."""
    return compact([{"action": action.envelope.type, **action.outcome.as_json()} for action in actions])


def input_of(conn: Any, turn_id: int) -> int:
    """Return the id of the input that caused a turn."""
    return int(conn.execute(select(turns.c.input_id).where(turns.c.id == turn_id)).scalar_one())


def session_of(conn: Any, turn_id: int) -> int:
    """Return the id of the session that a turn belongs to."""
    return int(conn.execute(select(turns.c.session_id).where(turns.c.id == turn_id)).scalar_one())


def deny_waiting(conn: Any, turn_id: int, step: int, position: int, reason: str, now_ms: int) -> None:
    """Note that an action which waited for an approval was denied, and that its turn is over."""
    place = (ledger.c.turn_id == turn_id, ledger.c.step == step, ledger.c.position == position)
    statement = update(ledger).where(*place, ledger.c.status == OutcomeStatus.AWAITING_APPROVAL.value)
    conn.execute(statement.values(status=OutcomeStatus.DENIED.value, reason=reason, ended_at_ms=now_ms))
    waiting = update(turns).where(turns.c.id == turn_id, turns.c.state == "awaiting_approval")
    conn.execute(waiting.values(state="complete", reason=reason, ended_at_ms=now_ms))


def step_tainted(conn: Any, turn_id: int, number: int) -> bool:
    """Whether a committed step had seen, or brought, text that its principal did not write."""
    statement = select(steps.c.tainted).where(steps.c.turn_id == turn_id, steps.c.number == number)
    return bool(conn.execute(statement).scalar())
