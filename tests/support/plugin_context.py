"""A plugin's context without an app: a clock that the test moves, and background jobs that it can wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import structlog
from structlog.typing import FilteringBoundLogger

from core.ai_plugin_base import AIPluginBase, TurnContext
from core.contracts.events import Events
from core.contracts.inputs import Address, Origin, Principal, Role
from core.contracts.json import Json
from core.contracts.messages import PluginMessages
from core.contracts.schedule import Schedule
from core.contracts.services import Database, KeyValueStore, PluginContext, PluginEngines, Services

T = TypeVar("T", bound=AIPluginBase)

START_MS = 1_795_196_220_000
"""Friday 2026-11-20 17:37 UTC."""


@dataclass(slots=True)
class ManualClock:
    """Stands still until `advance` is called."""

    ms: int = START_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    def advance(self, *, minutes: float) -> None:
        self.ms += round(minutes * 60_000)

    async def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@dataclass(slots=True, kw_only=True)
class FakePluginContext:
    """What a plugin sees of `self.context`: the parts that tests of one plugin need.

    jobs: the background jobs that were ever spawned.
    """

    name: str = "plugin"
    data_directory: Path = Path("/nonexistent")
    clock: ManualClock = field(default_factory=ManualClock)
    timezone: str = "Europe/Rome"
    jobs: list[asyncio.Task[None]] = field(default_factory=list)
    log: FilteringBoundLogger = field(default_factory=structlog.get_logger)

    @property
    def kv(self) -> KeyValueStore:
        raise NotImplementedError

    @property
    def database(self) -> Database:
        raise NotImplementedError

    @property
    def services(self) -> Services:
        raise NotImplementedError

    @property
    def schedule(self) -> Schedule:
        raise NotImplementedError

    @property
    def events(self) -> Events:
        raise NotImplementedError

    @property
    def engines(self) -> PluginEngines:
        raise NotImplementedError

    @property
    def messages(self) -> PluginMessages:
        raise NotImplementedError

    def spawn(self, job: Awaitable[None], name: str) -> None:
        async def run() -> None:
            await job

        self.jobs.append(asyncio.create_task(run(), name=name))

    async def settle(self) -> None:
        """Wait until the background jobs have ended; raises what one of them raised."""
        await asyncio.gather(*self.jobs)


def equip(plugin: T, context: FakePluginContext | None = None, **config: Json) -> T:
    """Give a plugin its context and configuration, as the registry would."""
    plugin.context = cast(PluginContext, context or FakePluginContext())
    plugin.config = type(plugin).Config(**config)
    return plugin


def turn(text: str = "") -> TurnContext:
    """Return a turn of a trainer at the console."""
    return TurnContext(
        turn_id=1,
        principal=Principal("console", "owner"),
        role=Role.TRAINER,
        address=Address("console", "local"),
        origin=Origin.USER,
        text=text,
    )
