"""Reminders as they are stored, and the service that keeps them: what `self.context.schedule` is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from core.contracts.inputs import Address, Principal
from core.contracts.reminders import Intent, Occurrence


class ReminderMode(StrEnum):
    """What happens when a reminder is due.

    LITERAL: its text is delivered, no model is in the way. COMPOSE: the model words it, and the text itself is
    delivered when it cannot. TASK: a turn begins with the text as its request, with the rights of whoever set it.
    """

    LITERAL = "literal"
    COMPOSE = "compose"
    TASK = "task"


class MissedPolicy(StrEnum):
    """What becomes of occurrences that were missed while nothing ran.

    COALESCE: the newest one is delivered, late, and says how many there were. DELIVER: each of them is. SKIP: what is
    later than the largest lateness is not delivered.
    """

    COALESCE = "coalesce"
    DELIVER = "deliver"
    SKIP = "skip"


class ReminderState(StrEnum):
    """Whether a reminder has occurrences to come."""

    ACTIVE = "active"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """One reminder.

    id: its row's, 0 until it is stored. number: what people call it by, unique in this
    installation. address: where it is
    delivered. asked_in: the chat in which it was set. next: the occurrence that comes next, None when there is none.
    max_lateness_s: seconds after its instant at which an occurrence is not worth delivering any more, or None.
    tainted: it was set in a step that had seen text which its principal did not write. note: what became of it last.
    """

    principal: Principal
    number: int
    address: Address
    asked_in: Address
    text: str
    intent: Intent
    next: Occurrence | None
    mode: ReminderMode = ReminderMode.LITERAL
    missed: MissedPolicy = MissedPolicy.COALESCE
    max_lateness_s: int | None = None
    tainted: bool = False
    state: ReminderState = ReminderState.ACTIVE
    note: str = ""
    created_at_ms: int = 0
    id: int = 0


class Schedule(Protocol):
    """The reminders of everybody. What takes a `conn` is called inside `ctx.write` or `transact`."""

    async def zone(self, principal: Principal) -> str | None:
        """Return the IANA zone that a principal has chosen, or None."""

    def set_zone(self, conn: Any, principal: Principal, zone: str) -> None:
        """Store the zone of a principal; their reminders stay as they are."""

    async def reminders(self, principal: Principal, *, active_only: bool = True) -> list[Reminder]:
        """Return the reminders of a principal, the next one first."""

    async def count(self, principal: Principal) -> int:
        """Return how many active reminders a principal has."""

    async def find(self, principal: Principal, number: int) -> Reminder | None:
        """Return one reminder of a principal, in whatever state."""

    async def new_number(self) -> int:
        """Return a number that no reminder has or will get."""

    def checked(self, intent: Intent) -> Intent:
        """Return an intent in its normal form; raises ScheduleError with what is wrong and what to do."""

    def upcoming(self, intent: Intent, from_ms: int, most: int) -> Sequence[Occurrence]:
        """Return the first occurrences at or after an instant, `most` of them where there are so many."""

    def shortest_gap_s(self, intent: Intent) -> int | None:
        """Return the smallest distance between occurrences, in seconds; None when there is one only."""

    def add(self, conn: Any, reminder: Reminder) -> None:
        """Store a new reminder, and let it become due at `reminder.next`."""

    def change(self, conn: Any, before: Reminder, after: Reminder) -> None:
        """Store `after` in place of `before`, as it was read; raises ScheduleError when it is not that any more."""
