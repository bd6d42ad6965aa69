"""The schedule that plugins are handed: reminders by principal, and their instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.contracts.errors import ScheduleError
from core.contracts.inputs import Principal
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import Reminder
from core.contracts.services import Clock, Database
from core.services import occurrences, reminders


class StoredSchedule:
    """A `Schedule` on the database.

    touched: something was written since this was last set to False, in a transaction that may not be committed yet.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.touched = False

    async def zone(self, principal: Principal) -> str | None:
        """Return the IANA zone that a principal has chosen, or None."""
        return await self._database.read(lambda conn: reminders.zone(conn, principal))

    def set_zone(self, conn: Any, principal: Principal, zone: str) -> None:
        """Store the zone of a principal; their reminders stay as they are."""
        reminders.set_zone(conn, principal, zone)

    async def reminders(self, principal: Principal, *, active_only: bool = True) -> list[Reminder]:
        """Return the reminders of a principal, the next one first."""
        return await self._database.read(lambda conn: reminders.listing(conn, principal, active_only=active_only))

    async def count(self, principal: Principal) -> int:
        """Return how many active reminders a principal has."""
        return await self._database.read(lambda conn: reminders.count_active(conn, principal))

    async def find(self, principal: Principal, number: int) -> Reminder | None:
        """Return one reminder of a principal, in whatever state."""
        return await self._database.read(lambda conn: reminders.find(conn, principal, number))

    async def new_number(self) -> int:
        """Return a number that no reminder has or will get."""
        # Whatever uses it is committed behind it, so a power cut that undoes this undoes that as well.
        return await self._database.transact(reminders.new_number, durable=False)

    def checked(self, intent: Intent) -> Intent:
        """Return an intent in its normal form; raises ScheduleError with what is wrong and what to do."""
        return occurrences.checked(intent)

    def upcoming(self, intent: Intent, from_ms: int, most: int) -> Sequence[Occurrence]:
        """Return the first occurrences at or after an instant, `most` of them where there are so many."""
        return occurrences.upcoming(intent, from_ms, most)

    def shortest_gap_s(self, intent: Intent) -> int | None:
        """Return the smallest distance between occurrences, in seconds; None when there is one only."""
        return occurrences.shortest_gap_s(intent)

    def add(self, conn: Any, reminder: Reminder) -> None:
        """Store a new reminder, and let it become due at `reminder.next`."""
        reminders.add(conn, reminder, self._clock.now_ms())
        self.touched = True

    def change(self, conn: Any, before: Reminder, after: Reminder) -> None:
        """Store `after` in place of `before`, as it was read; raises ScheduleError when it is not that any more."""
        # It may have come due in between: put back to what it was then, it would come once more.
        if reminders.by_id(conn, before.id) != before:
            raise ScheduleError(f"Reminder {before.number} has changed meanwhile.", cure="Look at it and try again.")
        reminders.change(conn, replace(after, id=before.id), self._clock.now_ms())
        self.touched = True
