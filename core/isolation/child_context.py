"""What a plugin in a process of its own is given as `self.context`: plain data goes to Rekku and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from core.contracts.json import Json
from core.contracts.processes import StartSidecar
from core.contracts.slots import SlotSpec
from core.isolation.child_events import ChildEvents
from core.isolation.child_functions import ChildFunctions
from core.isolation.child_jobs import ChildJobs
from core.isolation.child_messages import ChildMessages
from core.isolation.child_services import ChildEngines, ChildServices
from core.isolation.child_slots import ChildSlots
from core.isolation.child_storage import ChildKeyValues, ChildSchedule
from core.isolation.outside import Outside, cannot_cross
from core.isolation.peer import Peer
from core.services.background_tasks import BackgroundTasks
from core.services.nothing_begun import SidecarsNotStarted, TasksNotBegun
from core.services.sidecars import SidecarsOfPlugin

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


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


@dataclass(kw_only=True)
class ChildContext:
    """A `PluginContext` over there. directory: where its data directory is to be."""

    name: str
    directory: Path
    timezone: str
    rehearsal: bool
    peer: Peer
    clock: ChildClock
    functions: ChildFunctions
    declarations: Callable[[], Awaitable[Json]]

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

    @cached_property
    def services(self) -> ChildServices:
        """What other plugins do; the objects that they offer are not here."""
        return ChildServices(self.peer)

    @cached_property
    def events(self) -> ChildEvents:
        """What the plugin emits, and is told of while it runs."""
        return ChildEvents(self.name, self.peer, self.functions)

    @cached_property
    def engines(self) -> ChildEngines:
        """Model calls of the plugin's own."""
        return ChildEngines(self.peer)

    @cached_property
    def messages(self) -> ChildMessages:
        """The plugin's part in the conversations."""
        return ChildMessages(self.name, self.peer, self.functions)

    @cached_property
    def jobs(self) -> ChildJobs:
        """Background jobs, run here and kept by Rekku."""
        return ChildJobs(self.name, self.peer, self.functions)

    @cached_property
    def _sidecars(self) -> SidecarsOfPlugin | SidecarsNotStarted:
        return (
            SidecarsNotStarted(self.name, self._left_out) if self.rehearsal else SidecarsOfPlugin(self.name, self.log)
        )

    @cached_property
    def _tasks(self) -> BackgroundTasks | TasksNotBegun:
        return TasksNotBegun() if self.rehearsal else BackgroundTasks()

    def _left_out(self, what: str) -> None:
        self.peer.tell("left_out", what)

    @property
    def sidecar(self) -> StartSidecar:
        """Start a server of the plugin's own, below this process."""
        return self._sidecars.start

    @cached_property
    def _slots(self) -> ChildSlots:
        return ChildSlots(self.name, self.peer, self.functions)

    def contribute(self, slot: str, spec: SlotSpec) -> None:
        """Fill a slot until the plugin stops; raises DeclarationError."""
        self._slots.contribute(slot, spec)

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
        """Cancel what still runs, and end the sidecars."""
        await asyncio.gather(self._sidecars.close(), self._tasks.cancel())
