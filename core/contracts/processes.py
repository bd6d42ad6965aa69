"""What a plugin sets going and the host keeps: background jobs, and servers of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from core.contracts.json import Json


class JobState(StrEnum):
    """How a job stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(Protocol):
    """The handle of a job. result: what it returned, once it is done. error: one line, once it has failed."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> JobState: ...
    @property
    def result(self) -> Json: ...
    @property
    def error(self) -> str: ...

    def cancel(self) -> None:
        """End it."""


class Jobs(Protocol):
    """Background jobs of a plugin. They live in memory: what must survive a restart is a reminder."""

    def start(self, work: Callable[[], Awaitable[Json]], name: str, *, timeout_s: float = 3600.0) -> Job:
        """Begin `work()` and return its handle at once; at its end the event `job.ended` tells how it went.

        It is ended with the plugin, and after timeout_s seconds. Raises RekkuError when the plugin has stopped, or
        has 20 jobs that run, TypeError where `work` is called already.
        """

    def running(self) -> Sequence[Job]:
        """Return the jobs that run."""


class Sidecar(Protocol):
    """A server of a plugin's own. pid: None while it does not run. restarts: how often it was started again."""

    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def restarts(self) -> int: ...

    async def stop(self) -> None:
        """End it and all that it has started: SIGTERM, and SIGKILL after 5 seconds."""


class StartSidecar(Protocol):
    """What `self.context.sidecar` is."""

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], bool | Awaitable[bool]] | None = None,
        ready_timeout_s: float = 30.0,
    ) -> Sidecar: ...
