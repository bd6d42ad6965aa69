"""What one component is handed as `self.context`, and what is taken back from it when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from core.component_events import ComponentEvents
from core.contracts.errors import RekkuError
from core.contracts.processes import StartSidecar
from core.contracts.schedule import Schedule
from core.contracts.services import Clock, Database, KeyValueStore
from core.contracts.slots import SlotSpec
from core.registry.shared_services import SharedServices
from core.services.background_jobs import JobsOfPlugin
from core.services.background_tasks import BackgroundTasks
from core.services.events import EventBus
from core.services.foreign import ForeignCalls
from core.services.keyvalue import StoredKeyValues
from core.services.nothing_begun import JobsNotBegun, LeftOut, SidecarsNotStarted, TasksNotBegun
from core.services.sidecars import SidecarsOfPlugin
from core.services.slots import Slots
from core.turn.ask_for_plugin import EnginesOfPlugin
from core.turn.environment import TurnEnvironment
from core.turn.plugin_messages import MessagesOfPlugin

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from core.contracts.services import Services


@dataclass(kw_only=True)
class ComponentContext:
    """A `PluginContext`; interfaces and engines get the same.

    left_out: is told of what a plugin would set going by itself where that is not to be; None: all of it is begun.
    """

    kind: str
    name: str
    home: Path
    timezone: str
    clock: Clock
    database: Database
    shared_services: SharedServices
    schedule: Schedule
    bus: EventBus
    redeclare: Callable[[str], Awaitable[None]]
    env: Callable[[], TurnEnvironment]
    foreign: ForeignCalls
    slots: Slots
    left_out: LeftOut | None = None
    _released: bool = False

    @cached_property
    def log(self) -> FilteringBoundLogger:
        """A logger that names the component."""
        bound: FilteringBoundLogger = structlog.get_logger(f"rekku.{self.kind}").bind(**{self.kind: self.name})
        return bound

    @cached_property
    def data_directory(self) -> Path:
        """A directory for the component's own files, for the owner of the installation alone."""
        directory = self.home / "data" / self.name
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory

    @cached_property
    def kv(self) -> KeyValueStore:
        """Small durable values of the component's own."""
        return StoredKeyValues(self.database, f"{self.kind}.{self.name}")

    @cached_property
    def services(self) -> Services:
        """What plugins offer each other."""
        return self.shared_services.view(self.name)

    @cached_property
    def events(self) -> ComponentEvents:
        """What the component emits, and is told of while it runs."""
        return ComponentEvents(kind=self.kind, name=self.name, bus=self.bus)

    @cached_property
    def engines(self) -> EnginesOfPlugin:
        """Model calls of the component's own."""
        return EnginesOfPlugin(self.name, self.env)

    @cached_property
    def messages(self) -> MessagesOfPlugin:
        """The component's part in the conversations."""
        return MessagesOfPlugin(self.name, self.env)

    @property
    def rehearsal(self) -> bool:
        """Whether nothing outside may be touched."""
        return self.left_out is not None

    @cached_property
    def jobs(self) -> JobsOfPlugin | JobsNotBegun:
        """Background jobs: a handle at once, an event at the end."""
        if self.left_out is not None:
            return JobsNotBegun(self.name, self.left_out)
        return JobsOfPlugin(self.name, self.foreign, self.bus)

    @cached_property
    def _sidecars(self) -> SidecarsOfPlugin | SidecarsNotStarted:
        return (
            SidecarsOfPlugin(self.name, self.log)
            if self.left_out is None
            else SidecarsNotStarted(self.name, self.left_out)
        )

    @cached_property
    def _tasks(self) -> BackgroundTasks | TasksNotBegun:
        return BackgroundTasks() if self.left_out is None else TasksNotBegun()

    @property
    def sidecar(self) -> StartSidecar:
        """Start a server of the component's own; see `PluginContext.sidecar`."""
        return self._sidecars.start

    def contribute(self, slot: str, spec: SlotSpec) -> None:
        """Fill a slot until the component stops; raises DeclarationError."""
        self._may_begin()
        self.slots.contribute(self.kind, self.name, slot, spec)

    async def actions_changed(self) -> None:
        """Have the plugin's actions read again; raises DeclarationError."""
        await self.redeclare(self.name)

    def spawn(self, job: Awaitable[None], name: str) -> None:
        """Run `job` in the background; it is cancelled when the component stops, and reported when it raises."""
        if self._released and (close := getattr(job, "close", None)) is not None:
            close()
        self._may_begin()
        self._tasks.spawn(job, name, self.name, self.log)

    def _may_begin(self) -> None:
        if self._released:
            raise RekkuError(f"{self.name} has been stopped: nothing more is begun for it.")

    async def release(self) -> None:
        """Cancel what still runs; a job that does not let itself be cancelled is left behind after a second."""
        self._released = True
        self.events.close()
        self.engines.close()
        self.messages.close()
        self.slots.withdraw(self.kind, self.name)
        await asyncio.gather(self.jobs.close(), self._sidecars.close())
        await self._tasks.cancel()
