"""Where nothing outside may be touched: what a plugin would set going by itself, asked for and not begun."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.contracts.json import Json
from core.contracts.processes import JobState
from core.services.background_jobs import StartedJob, check_job
from core.services.sidecars import check_argv

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

NOT_BEGUN = "Nothing was done, this is a dry run."

LeftOut = Callable[[str], None]
"""Is told what was not begun: `the job tidy of garden`."""


@dataclass(frozen=True, slots=True)
class JobsNotBegun:
    """The `Jobs` of one plugin, all of them cancelled as they are started."""

    plugin: str
    left_out: LeftOut

    def start(
        self, work: Callable[[], Awaitable[Json]], name: str, *, timeout_s: float = 3600.0, id_: str = ""
    ) -> StartedJob:
        """Return the handle of a job that has been cancelled; `job.ended` is not told."""
        check_job(self.plugin, work, 0, timeout_s)
        self.left_out(f"the job {name} of {self.plugin}")
        return StartedJob(id=id_ or secrets.token_hex(4), name=name, state=JobState.CANCELLED, error=NOT_BEGUN)

    def running(self) -> list[StartedJob]:
        """Return none."""
        return []

    async def close(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class SidecarNotStarted:
    """A `Sidecar` that does not run."""

    name: str
    pid: int | None = None
    restarts: int = 0

    async def stop(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class SidecarsNotStarted:
    """All sidecars of one plugin."""

    plugin: str
    left_out: LeftOut

    async def start(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], bool | Awaitable[bool]] | None = None,
        ready_timeout_s: float = 30.0,
    ) -> SidecarNotStarted:
        """Return at once, and do not wait until it is ready; raises ValueError for what is no command."""
        check_argv(argv)
        self.left_out(f"the sidecar {name} of {self.plugin}")
        return SidecarNotStarted(name)

    async def close(self) -> None:
        """Do nothing."""


class TasksNotBegun:
    """The background tasks of one plugin. Nobody is told: most of them are a plugin's inner works."""

    def spawn(self, work: Awaitable[None], name: str, owner: str, log: FilteringBoundLogger) -> None:
        """Drop what would run in the background."""
        if asyncio.iscoroutine(work):
            work.close()

    async def cancel(self) -> None:
        """Do nothing."""
