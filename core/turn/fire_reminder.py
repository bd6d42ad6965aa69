"""One instant of a reminder: what is due of it, who may still have it, and the transaction in which it happens.

That one transaction marks the instant as dealt with, writes the ledger, history and outbox (or the input of a turn),
and sets the next instant. So an occurrence happens once, also when several processes see it at the same time.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import structlog

from core.contracts.actions import MESSAGE_ACTION, ActionEnvelope, Effect
from core.contracts.deliveries import DEFAULT_TIME_TO_LIVE_S, Delivery, Part
from core.contracts.errors import CannotDeliver, LeaseLost
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Address, Input, InputKind, Origin, Quoted, Role
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.policy import Question, Verdict
from core.contracts.prompts import Line
from core.contracts.schedule import Reminder, ReminderMode
from core.services import history, inbox, ledger, outbox, reminders
from core.services.reminders import DueInstant
from core.turn.choose_occurrence import Due, what_is_due
from core.turn.environment import TurnEnvironment
from core.turn.stages.authorize import authorize
from core.turn.tell_observers import tell_observers
from core.turn.tell_reminder import due_text, lateness_note, snooze_buttons

log = structlog.get_logger("rekku.schedule")

ACTION = "reminder"
"""Under this name the ledger has what became of occurrences; no model can ask for it."""

LOOK_AGAIN_MS = 30_000
MISSED_MS = 60_000
"""What is later than this may not be the only one that was missed."""


async def fire_reminder(env: TurnEnvironment, instant: DueInstant) -> bool:
    """Let an instant happen; True when it put an input into the inbox. Raises StorageError."""
    reminder = await env.database.read(lambda conn: reminders.by_id(conn, instant.reminder_id))
    if reminder is None or reminder.next is None or reminder.next.at_ms != instant.at_ms:
        await env.database.transact(lambda conn: reminders.drop(conn, instant))
        return False
    now_ms = env.clock.now_ms()
    if reminder.intent.rule and now_ms - instant.at_ms > MISSED_MS:
        # Thousands of occurrences may have been missed meanwhile, and every one is looked at.
        due = await asyncio.to_thread(what_is_due, reminder, now_ms)
    else:
        due = what_is_due(reminder, now_ms)
    env.reached("reminder due")
    role = env.people.role(reminder.principal)
    refused = _refused(env, reminder, role)
    if refused:
        await _happen(env, instant, reminder, due, Outcome(status=OutcomeStatus.DENIED, reason=refused))
        return False
    if due.over:
        await _happen(env, instant, reminder, due, Outcome(status=OutcomeStatus.SKIPPED, reason=_too_late(due)))
        return False
    if reminder.mode is not ReminderMode.LITERAL:
        return await _happen(env, instant, reminder, due, _done(due), request=request_of(reminder, due))
    return await _deliver(env, instant, reminder, due)


def request_of(reminder: Reminder, due: Due) -> Input:
    """Return the input that begins the turn of a reminder which needs the model."""
    data = {
        "reminder": reminder.id,
        "number": reminder.number,
        "mode": reminder.mode.value,
        "text": reminder.text,
        "note": lateness_note(reminder, due.occurrence, due.late_s, due.left_out),
    }
    # What a step asked for that had seen foreign text may be foreign itself: it comes back as such.
    foreign = (Quoted(relation="reminder", author="", text=reminder.text),) if reminder.tainted else ()
    words = "A reminder is due. Its text is quoted above." if reminder.tainted else reminder.text
    return Input(
        kind=InputKind.DUE,
        principal=reminder.principal,
        address=reminder.address,
        dedupe_key=f"{reminders.instant_key(reminder.id, due.occurrence.at_ms)}:turn",
        text=words,
        quoted=foreign,
        origin=Origin.SYSTEM,
        data=data,
    )


async def _deliver(env: TurnEnvironment, instant: DueInstant, reminder: Reminder, due: Due) -> bool:
    """Put a reminder as it was written into the outbox; where its chat cannot be written to, wait or go elsewhere."""
    text = due_text(reminder, due.occurrence, due.late_s, due.left_out)
    ttl_s = longest_wait_s(reminder) - due.late_s
    try:
        parts = await _prepare(env, reminder, reminder.address, text, ttl_s)
    except CannotDeliver as error:
        why = error.explain()
    else:
        return await _happen(env, instant, reminder, due, _done(due), parts=parts, said=text)
    if ttl_s * 1000 > LOOK_AGAIN_MS:
        log.warning("a reminder waits for its chat", reminder=reminder.id, error=why)
        until_ms = env.clock.now_ms() + LOOK_AGAIN_MS
        await env.database.transact(lambda conn: reminders.postpone(conn, instant, until_ms))
        return False
    parts = await elsewhere(env, reminder, text, why)
    if parts:
        moved = f"Delivered to {parts[0][0].address} in place of {reminder.address}: {why}"
        outcome = replace(_done(due), reason=moved)
        return await _happen(env, instant, reminder, due, outcome, parts=parts)
    failed = Outcome(status=OutcomeStatus.FAILED, reason=f"It could not be delivered: {why}")
    return await _happen(env, instant, reminder, due, failed, dead=Part(address=reminder.address, text=text))


async def elsewhere(env: TurnEnvironment, reminder: Reminder, text: str, why: str) -> list[tuple[Part, float]]:
    """Return the parts that tell whoever set a reminder of it in another chat, private ones first; none: nowhere.

    What was to come in a private chat is told in no chat where others read along.
    """
    known = await env.database.read(lambda conn: reminders.known_addresses(conn, reminder.principal))
    private = env.people.alone(reminder.principal, reminder.address)
    others = [
        address
        for address in known
        if address != reminder.address and (not private or env.people.alone(reminder.principal, address))
    ]
    told = f"{text}\n\n(It was to go to {reminder.address}, which could not be reached: {why})"
    for address in sorted(others, key=lambda address: not env.people.alone(reminder.principal, address)):
        try:
            return await _prepare(env, reminder, address, told, DEFAULT_TIME_TO_LIVE_S)
        except CannotDeliver:
            continue
    return []


def longest_wait_s(reminder: Reminder) -> float:
    """Return how long after its instant a reminder may still reach its chat, in seconds."""
    return DEFAULT_TIME_TO_LIVE_S if reminder.max_lateness_s is None else reminder.max_lateness_s


async def _prepare(
    env: TurnEnvironment, reminder: Reminder, address: Address, text: str, ttl_s: float
) -> list[tuple[Part, float]]:
    context = TurnContext(
        turn_id=0,
        principal=reminder.principal,
        role=env.people.role(reminder.principal),
        address=address,
        origin=Origin.SYSTEM,
        tainted=reminder.tainted,
    )
    delivery = Delivery(
        address=address,
        text=text,
        buttons=snooze_buttons(reminder),
        ttl_s=max(ttl_s, LOOK_AGAIN_MS / 1000),
        tainted=reminder.tainted,
    )
    return await env.outgoing.prepare(context, delivery)


def _refused(env: TurnEnvironment, reminder: Reminder, role: Role) -> str:
    """Return why whoever set a reminder may not have it delivered any more, or ""."""
    entry = env.generation().get(MESSAGE_ACTION)
    if role is Role.BLOCKED:
        return f"{reminder.principal} may not use this assistant any more."
    if entry is None:
        return ""
    payload = {"text": reminder.text}
    if reminder.address != reminder.asked_in:
        payload["to"] = str(reminder.address)
    question = Question(
        spec=entry.spec, payload=payload, principal=reminder.principal, role=role, address=reminder.asked_in
    )
    # What had to be asked was asked when it was set.
    decision = authorize(question, env.rules)
    return decision.reason if decision.verdict is Verdict.DENY else ""


async def _happen(
    env: TurnEnvironment,
    instant: DueInstant,
    reminder: Reminder,
    due: Due,
    outcome: Outcome,
    *,
    parts: list[tuple[Part, float]] | None = None,
    dead: Part | None = None,
    said: str = "",
    request: Input | None = None,
) -> bool:
    """Commit what became of an instant; True when that put an input into the inbox."""
    now_ms = env.clock.now_ms()
    after = replace(due.after, note=_note(outcome, due))
    lane = str(reminder.address)
    outgoing = parts or []
    env.reached("before reminder commit")

    told: list[tuple[Line, int, int]] = []

    def write(conn: Any) -> list[int] | None:
        if not reminders.take(conn, instant):
            return None  # another process was first
        if not reminders.advance(conn, reminder, after, now_ms):
            raise LeaseLost(f"Reminder {reminder.id} has changed meanwhile.")
        if request is not None:
            inbox.put(conn, request, now_ms, passes_lanes=False)
            return []
        session = history.open_session(conn, lane, now_ms)
        turn_id = ledger.open_turn(
            conn,
            input_id=instant.input_id,
            session_id=session.id,
            lane=lane,
            principal=str(reminder.principal),
            origin=Origin.SYSTEM.value,
            now_ms=now_ms,
        )
        ledger.record_action(
            conn,
            turn_id=turn_id,
            step=0,
            position=0,
            envelope=ActionEnvelope(
                type=ACTION, payload={"number": reminder.number, "text": env.masker.text(reminder.text)}
            ),
            effect=Effect.LOCAL.value,
            principal=str(reminder.principal),
            outcome=outcome,
            started_at_ms=now_ms,
            now_ms=now_ms,
        )
        ledger.record_step(conn, turn_id, 0, reminder.tainted, now_ms)
        ledger.end_turn(conn, turn_id, "complete", "", 1, now_ms)
        if said:
            line = Line(role="assistant", text=env.masker.text(said), tainted=reminder.tainted)
            told[:] = [(line, session.id, turn_id)]
            history.append(conn, session.id, turn_id, [line], now_ms, principal=reminder.principal)
        for row_id in outbox.put(conn, [] if dead is None else [(dead, 0.0)], turn_id, now_ms):
            outbox.bury(conn, row_id, 0, outcome.reason, now_ms)
        return outbox.put(conn, outgoing, turn_id, now_ms)

    try:
        rows = await env.database.transact(write)
    except LeaseLost:
        return False  # looked at anew, as it is now
    env.reached("after reminder commit")
    if rows is None:
        return False
    for line, session_id, turn_id in told:
        tell_observers(
            env,
            [line],
            address=reminder.address,
            principal=reminder.principal,
            session_id=session_id,
            turn_id=turn_id,
            at_ms=now_ms,
        )
    env.figures.reminder_fired(outcome.status.value, max(now_ms - due.occurrence.at_ms, 0) / 1000)
    env.wake_outbox([(row, str(part.address)) for row, (part, _) in zip(rows, outgoing, strict=False)])
    tell_due(env, instant, reminder, due, outcome)
    log.info("a reminder was due", reminder=reminder.id, status=outcome.status.value, late_s=due.late_s)
    return request is not None


def tell_due(env: TurnEnvironment, instant: DueInstant, reminder: Reminder, due: Due, outcome: Outcome) -> None:
    """Tell of an occurrence; what becomes an input comes of it, and so does the turn of that."""
    env.events.post(
        "reminder.due",
        {
            "reminder_id": reminder.id,
            "principal": str(reminder.principal),
            "address": str(reminder.address),
            "text": reminder.text,
            "mode": reminder.mode.value,
            "due_at_ms": due.occurrence.at_ms,
            "status": outcome.status.value,
            "reason": outcome.reason,
            "tainted": reminder.tainted,
        },
        correlation=f"input-{instant.input_id}",
    )


def _done(due: Due) -> Outcome:
    missed = f" {due.left_out} earlier occurrences were missed." if due.left_out else ""
    late = f"{due.late_s} s late." if due.late_s >= 1 else ""
    return Outcome(status=OutcomeStatus.DONE, reason=f"{late}{missed}".strip())


def _too_late(due: Due) -> str:
    others = f", and {due.left_out} before it" if due.left_out else ""
    return f"It was {due.late_s} s late, which is later than it may be{others}."


def _note(outcome: Outcome, due: Due) -> str:
    when = due.occurrence.local.isoformat(sep=" ", timespec="seconds")
    return f"{outcome.status.value}, due {when}{f': {outcome.reason}' if outcome.reason else ''}"
