"""What a plugin in a process of its own is given as `self.context`: what is plain data goes to Rekku and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from core.contracts.errors import RekkuError
from core.contracts.inputs import Principal
from core.contracts.json import Json
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import Reminder
from core.isolation.peer import Peer
from core.services import occurrences
from core.services.background_tasks import BackgroundTasks

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

CURE = 'Run the plugin with isolation = "none", or keep what it has to keep in self.context.kv or in files.'


class StaysOutside(RekkuError, AttributeError):
    """Something that is no plain data, and so is not there for a plugin in a process of its own."""

    code = "isolated"


def cannot_cross(what: str, cure: str = CURE) -> NoReturn:
    """Raise the error for what stays outside."""
    raise StaysOutside(f'{what} cannot be reached from a plugin with isolation = "process".', cure=cure)


class ChildClock:
    """Rekku's clock, as it stood when it was last told, and time that has passed here since."""

    def __init__(self) -> None:
        self._ms = time.time_ns() // 1_000_000
        self._told_at = time.monotonic()

    def tell(self, now_ms: int) -> None:
        """Take over the time of Rekku's clock, UTC milliseconds."""
        self._ms, self._told_at = now_ms, time.monotonic()

    def now_ms(self) -> int:
        """Return UTC milliseconds since 1970."""
        return self._ms + int((time.monotonic() - self._told_at) * 1000)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


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


@dataclass(frozen=True, slots=True)
class Outside:
    """Stands for a service that is no plain data; using any part of it raises StaysOutside."""

    name: str

    def __getattr__(self, part: str) -> Any:
        cannot_cross(f"self.context.{self.name}.{part}")


@dataclass(kw_only=True)
class ChildContext:
    """A `PluginContext` over there. home: where its data directory is to be."""

    name: str
    directory: Path
    timezone: str
    peer: Peer
    clock: ChildClock
    declarations: Callable[[], Awaitable[Json]]
    _tasks: BackgroundTasks = field(default_factory=BackgroundTasks)

    @cached_property
    def log(self) -> FilteringBoundLogger:
        """A logger; its lines go to Rekku's log."""
        bound: FilteringBoundLogger = structlog.get_logger("rekku.plugin")
        return bound

    @cached_property
    def data_directory(self) -> Path:
        """A directory for the plugin's own files, for the owner of the installation alone."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.directory

    @cached_property
    def kv(self) -> ChildKeyValues:
        """Small durable values of the plugin's own."""
        return ChildKeyValues(self.peer)

    @cached_property
    def schedule(self) -> ChildSchedule:
        """The reminders of everybody, for reading."""
        return ChildSchedule(self.peer)

    @property
    def database(self) -> Any:
        """Not here: its functions run inside Rekku."""
        return Outside("database")

    @property
    def services(self) -> Any:
        """Not here: services are objects."""
        return Outside("services")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        cannot_cross(f"self.context.{name}")

    async def actions_changed(self) -> None:
        """Have the plugin's actions read again; raises DeclarationError."""
        await self.peer.call("actions_changed", await self.declarations())

    def spawn(self, job: Awaitable[None], name: str) -> None:
        """Run `job` in the background, in this process; it is cancelled when the plugin stops."""
        self._tasks.spawn(job, name, self.name, self.log)

    async def release(self) -> None:
        """Cancel what still runs."""
        await self._tasks.cancel()
