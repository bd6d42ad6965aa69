"""One transaction: step, ledger, history, outbox, inbox row. What is not in it did not happen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog

from core.contracts.actions import MESSAGE_ACTION
from core.contracts.deliveries import Delivery, Part
from core.contracts.errors import CannotDeliver, LeaseLost, StorageUnavailable
from core.contracts.inputs import InputKind
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.prompts import Line
from core.contracts.steps import Next, RecordedAction, Step
from core.counted import counted
from core.services import history, inbox, ledger, notes, outbox
from core.turn.environment import TurnEnvironment
from core.turn.rehearse import is_rehearsed
from core.turn.stages.tell_outcome import tell_outcome
from core.turn.state import StepResult, Turn
from core.turn.tell_events import tell_written
from core.turn.tell_observers import tell_observers
from core.turn.tell_unknown import unknown_notices, unknown_sentence
from core.turn.write_pending import WriteFailed, write_rows

log = structlog.get_logger("rekku.turns")

LIMIT_SENTENCE = "I stopped after {steps} without coming to an end. Tell me how to go on."
END_STATES = {Next.END: "complete", Next.WAIT: "awaiting_approval", Next.LIMIT: "error"}


async def commit(turn: Turn, env: TurnEnvironment, result: StepResult, after: Next) -> None:
    """Commit a step and what follows from it; raises WriteFailed when an action's own write raised."""
    now_ms = env.clock.now_ms()
    sentence = result.failure
    if after is Next.LIMIT:
        sentence = LIMIT_SENTENCE.format(steps=counted(turn.number + 1, "step"))
    if result.actions and result.tell and turn.input.kind is InputKind.COMMAND:
        result.tell = tell_outcome(result.actions[0].seen)  # its write may have failed since
    parts = await _prepared(turn, env, sentence or result.tell) if sentence or result.tell else []
    parts += await unknown_notices(turn, env, result.actions, asker_is_told=turn.input.kind.without_model)
    lines = _masked(env, _lines(turn, result, sentence))
    failed = _has_failed(turn, result)
    state = "error" if failed else END_STATES.get(after, "")
    env.reached("before commit")

    def write(conn: Any) -> list[tuple[int, str]]:
        rows = write_rows(conn, turn, env, result.pending, now_ms)
        addresses = [str(part.address) for part, _ in parts]
        rows += zip(outbox.put(conn, parts, turn.id, now_ms), addresses, strict=True)
        ledger.record_step(conn, turn.id, turn.number, result.tainted, now_ms)
        history.append(conn, turn.session.id, turn.id, lines, now_ms, principal=turn.input.principal)
        if turn.notes and not result.failure:
            notes.carry(conn, turn.notes, turn.id)
        if after is Next.STEP:
            inbox.check(conn, turn.lease, now_ms)
        else:
            if turn.notes and after is not Next.WAIT:
                notes.end(conn, turn.id)
            inbox.finish(conn, turn.lease)
            ledger.end_turn(conn, turn.id, state, sentence, turn.number + 1, now_ms)
        return rows

    rows = await env.database.transact(write)
    env.reached("after commit")
    tell_written(env, turn, result.pending)
    turn.note_calls(result.pending)
    turn.steps.append(Step(number=turn.number, actions=result.actions, tainted=result.tainted))
    turn.replies, turn.entries, turn.approved = (), (), None
    turn.failed, turn.failure = failed, sentence
    turn.sent += rows
    env.committed(rows)
    _tell(turn, env, lines, now_ms)


def _tell(turn: Turn, env: TurnEnvironment, lines: list[Line], now_ms: int) -> None:
    tell_observers(
        env,
        lines,
        address=turn.input.address,
        principal=turn.input.principal,
        session_id=turn.session.id,
        turn_id=turn.id,
        at_ms=now_ms,
    )


def _has_failed(turn: Turn, result: StepResult) -> bool:
    """Whether a step ends its turn as failed: it came to nothing, or it was a command that was not done."""
    if not turn.input.kind.without_model:
        return bool(result.failure)
    waits_or_done = (OutcomeStatus.DONE, OutcomeStatus.AWAITING_APPROVAL)
    outcomes = [action.outcome for action in result.actions if not is_rehearsed(action.outcome)]
    return bool(result.failure) or any(outcome.status not in waits_or_done for outcome in outcomes)


def fail_action(result: StepResult, failure: WriteFailed) -> None:
    """Change a step whose write failed: that action failed, and those behind it were written in vain."""
    failed = failure.pending
    outcome = Outcome(status=OutcomeStatus.FAILED, reason=failure.reason)
    failed.action = RecordedAction(
        envelope=failed.action.envelope, outcome=outcome, ledger_id=failed.action.ledger_id
    )
    failed.drop_writes()
    actions = list(result.actions)
    actions[failed.position] = failed.action
    result.actions = tuple(actions)
    result.said.pop(failed.position, None)


async def abort(turn: Turn, env: TurnEnvironment, state: str, sentence: str) -> None:
    """End a turn in the middle of a step, and tell its user why."""
    now_ms = env.clock.now_ms()

    def settle(conn: Any) -> ledger.TurnRecord:
        inbox.check(conn, turn.lease, now_ms)
        ledger.end_unseen(conn, turn.id, "The turn ended while it ran.", now_ms)
        return ledger.load_turn(conn, turn.id)

    # What stands in the tables counts: a commit may have been under way when the turn was stopped.
    record = await env.database.transact(settle)
    turn.steps = list(record.steps)
    turn.failure = sentence
    begun = StepResult(
        actions=tuple(
            RecordedAction(envelope=entry.envelope, outcome=entry.outcome, ledger_id=entry.row_id)
            for entry in record.entries
            if entry.outcome is not None
        ),
        tainted=turn.tainted,
    )
    begun.said = {
        position: history.said(action, turn.input.address, turn.tainted)
        for position, action in enumerate(begun.actions)
    }
    unknown = [action for action in begun.actions if action.outcome.status is OutcomeStatus.UNKNOWN]
    told = " ".join(filter(None, [sentence, *(unknown_sentence(action) for action in unknown)]))
    parts = await _prepared(turn, env, told) if told else []
    parts += await unknown_notices(turn, env, unknown, asker_is_told=True)
    env.reached("before commit")

    lines = _masked(env, _lines(turn, begun, sentence))

    def write(conn: Any) -> list[tuple[int, str]]:
        rows = outbox.put(conn, parts, turn.id, now_ms)
        notes.end(conn, turn.id)
        history.append(conn, turn.session.id, turn.id, lines, now_ms, principal=turn.input.principal)
        inbox.finish(conn, turn.lease)
        ledger.end_turn(conn, turn.id, state, sentence, len(turn.steps), now_ms)
        return list(zip(rows, (str(part.address) for part, _ in parts), strict=True))

    def only_end(conn: Any) -> list[tuple[int, str]]:
        inbox.finish(conn, turn.lease)
        ledger.end_turn(conn, turn.id, "error", sentence, len(turn.steps), now_ms)
        return []

    try:
        rows = await env.database.transact(write)
    except (StorageUnavailable, LeaseLost):
        raise
    except Exception as error:
        # What was to be told or remembered cannot be written, now or later: the lane must go on all the same.
        log.exception("the end of a turn could not be told", turn=turn.id, exc_info=error)
        lines = []
        rows = await env.database.transact(only_end)
    env.reached("after commit")
    turn.sent += rows
    env.committed(rows)
    _tell(turn, env, lines, now_ms)


async def _prepared(turn: Turn, env: TurnEnvironment, sentence: str) -> list[tuple[Part, float]]:
    if turn.input.kind is InputKind.CALL:
        return []  # its caller is told by the end of the turn
    try:
        return await env.outgoing.prepare(turn.context(), Delivery(address=turn.input.address, text=sentence))
    except CannotDeliver as error:
        # A hook holds it back, or the interface is gone by configuration; the sentence stays as the turn's reason.
        turn.undelivered = env.masker.text(error.explain())
        return []


def _masked(env: TurnEnvironment, lines: list[Line]) -> list[Line]:
    return [replace(line, text=env.masker.text(line.text)) for line in lines]


def _lines(turn: Turn, result: StepResult, sentence: str) -> list[Line]:
    """Return the rows of history of a step: what was said to it with its first, then what it said and did."""
    said = [line for _, lines in sorted(result.said.items()) for line in lines]
    if turn.input.kind.without_model:
        # The model is told of a command as one of the things that were done, not in its own form.
        done = [
            ledger.summary_line(action) for action in result.actions if not action.envelope.type.startswith("core_")
        ]
        asked = turn.input.text or f"called by {turn.input.author_name or turn.input.principal}"
        told = Line(role="actions", text=f"{asked}: {'; '.join(done)}", tainted=result.tainted)
        return [told, *said] if done else []
    lines = []
    if turn.number == 0 and turn.approved is None:
        for quoted in turn.input.quoted:
            role = "assistant" if quoted.own else "foreign"
            lines.append(Line(role=role, text=quoted.text, author=quoted.author, tainted=not quoted.clean))
        lines.append(Line(role="user", text=turn.input.text, author=turn.input.author_name))
    lines += said
    done = [ledger.summary_line(a) for a in result.actions if a.envelope.type != MESSAGE_ACTION]
    if done:
        lines.append(Line(role="actions", text="; ".join(done), tainted=result.tainted))
    if sentence:
        lines.append(Line(role="actions", text=f"the turn ended: {sentence}"))
    return lines
