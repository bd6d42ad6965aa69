"""Background jobs of plugins: a handle at once, an event at the end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from core.contracts.actions import Untrusted
from core.contracts.errors import RekkuError
from core.contracts.json import Json, compact
from core.contracts.processes import JobState
from core.services.events import EventBus
from core.services.foreign import ForeignCalls, Raised
from core.services.json_results import json_result

log = structlog.get_logger("rekku.plugins")

MOST_RUNNING = 20
MOST_RESULT_BYTES = 64 * 1024
LONGEST_S = 24 * 3600.0


@dataclass(slots=True, kw_only=True, eq=False)
class StartedJob:
    """A `Job`."""

    id: str
    name: str
    state: JobState = JobState.RUNNING
    result: Json = None
    error: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def cancel(self) -> None:
        """End it."""
        if self.task is not None:
            self.task.cancel()


def check_job(plugin: str, work: object, running: int, timeout_s: float) -> None:
    """Raise RekkuError where a plugin has too many jobs to begin another one, ValueError for what is no time.

    TypeError for a coroutine in place of the function that makes it.
    """
    if not callable(work):
        if asyncio.iscoroutine(work):
            work.close()
        raise TypeError("jobs.start is given the function, as self.work, and not what it returns, as self.work()")
    if running >= MOST_RUNNING:
        raise RekkuError(f"{plugin} has {MOST_RUNNING} jobs that run.", cure="Wait for one of them to end.")
    if not 0 < timeout_s <= LONGEST_S:
        raise ValueError(f"timeout_s is {timeout_s}: a job takes more than 0 and at most {LONGEST_S:g} seconds")


class JobsOfPlugin:
    """The `Jobs` of one plugin."""

    def __init__(self, plugin: str, foreign: ForeignCalls, bus: EventBus) -> None:
        self._plugin = plugin
        self._foreign = foreign
        self._bus = bus
        self._running: dict[str, StartedJob] = {}
        self._closed = False

    def start(
        self, work: Callable[[], Awaitable[Json]], name: str, *, timeout_s: float = 3600.0, id_: str = ""
    ) -> StartedJob:
        """Begin `work()` and return its handle; see `core.contracts.processes.Jobs`. id_: one that is given out."""
        if self._closed:
            raise RekkuError(f"{self._plugin} has been stopped: nothing more is begun for it.")
        check_job(self._plugin, work, len(self._running), timeout_s)
        job = StartedJob(id=id_ or secrets.token_hex(4), name=name)
        self._running[job.id] = job
        job.task = asyncio.get_running_loop().create_task(
            self._run(job, work, timeout_s), name=f"{self._plugin}: job {name}"
        )
        job.task.add_done_callback(lambda task: self._ended(job))  # also of one that was ended before it began
        return job

    def running(self) -> list[StartedJob]:
        """Return the jobs that run."""
        return list(self._running.values())

    async def close(self) -> None:
        """End all of them."""
        self._closed = True
        tasks = [job.task for job in self._running.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)

    async def _run(self, job: StartedJob, work: Callable[[], Awaitable[Json]], timeout_s: float) -> None:
        label = f"{self._plugin}.{job.name}"

        async def made() -> Json:
            result = await json_result(await work(), label)
            if isinstance(result, Untrusted):
                raise TypeError("its result must be plain data")
            if len(compact(result).encode()) > MOST_RESULT_BYTES:
                raise ValueError(f"its result has more than {MOST_RESULT_BYTES} bytes")
            return result

        # Without an owner: a plugin that stops does not wait for its jobs, `close` ends them.
        ended = await self._foreign.call(label, made, timeout_s)
        if isinstance(ended, Raised):
            job.state, job.error = JobState.FAILED, ended.sentence
            log.error(
                "a background job failed",
                plugin=self._plugin,
                job=job.name,
                error=job.error,
                where=ended.where,
                raised=ended.error,
            )
        else:
            job.state, job.result = JobState.DONE, ended.value

    def _ended(self, job: StartedJob) -> None:
        if job.state is JobState.RUNNING:
            job.state = JobState.CANCELLED
        del self._running[job.id]
        self._bus.post(
            "job.ended",
            {
                "job_id": job.id,
                "plugin": self._plugin,
                "name": job.name,
                "state": job.state.value,
                "result": job.result,
                "error": job.error,
            },
        )
