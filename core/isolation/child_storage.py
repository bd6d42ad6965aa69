"""What a plugin in a process of its own keeps and reads in Rekku's database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.contracts.inputs import Principal
from core.contracts.json import Json
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import Reminder
from core.isolation.outside import cannot_cross
from core.isolation.peer import Peer
from core.services import occurrences


@dataclass(frozen=True, slots=True)
class ChildKeyValues:
    """The plugin's `KeyValueStore`; the values are stored by Rekku."""

    peer: Peer

    async def get(self, key: str, default: Json = None) -> Json:
        """Return the value under `key`, or `default`."""
        return await self.peer.call("kv.get", key, default)

    async def set(self, key: str, value: Json) -> None:
        """Store `value` (JSON) under `key`."""
        await self.peer.call("kv.set", key, value)

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        await self.peer.call("kv.delete", key)


@dataclass(frozen=True, slots=True)
class ChildSchedule:
    """The part of `Schedule` that is plain data: reading. What takes a connection stays outside."""

    peer: Peer

    async def zone(self, principal: Principal) -> str | None:
        """Return the IANA zone that a principal has chosen, or None."""
        zone: str | None = await self.peer.call("schedule.zone", principal)
        return zone

    async def reminders(self, principal: Principal, *, active_only: bool = True) -> list[Reminder]:
        """Return the reminders of a principal, the next one first."""
        found: list[Reminder] = await self.peer.call("schedule.reminders", principal, active_only)
        return found

    async def count(self, principal: Principal) -> int:
        """Return how many active reminders a principal has."""
        return int(await self.peer.call("schedule.count", principal))

    async def find(self, principal: Principal, number: int) -> Reminder | None:
        """Return one reminder of a principal, in whatever state."""
        found: Reminder | None = await self.peer.call("schedule.find", principal, number)
        return found

    def checked(self, intent: Intent) -> Intent:
        """Return an intent in its normal form; raises ScheduleError."""
        return occurrences.checked(intent)

    def upcoming(self, intent: Intent, from_ms: int, most: int) -> Sequence[Occurrence]:
        """Return the first occurrences at or after an instant, `most` of them where there are so many."""
        return occurrences.upcoming(intent, from_ms, most)

    def shortest_gap_s(self, intent: Intent) -> int | None:
        """Return the smallest distance between occurrences, in seconds; None when there is one only."""
        return occurrences.shortest_gap_s(intent)

    def __getattr__(self, name: str) -> Any:
        cannot_cross(f"self.context.schedule.{name}", "Plugins that write reminders run inside Rekku.")
