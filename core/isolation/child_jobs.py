"""The background jobs of a plugin in a process of its own: they run here, and Rekku keeps and ends them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from core.contracts.json import Json
from core.contracts.processes import JobState
from core.isolation.child_functions import ChildFunctions
from core.isolation.peer import Peer
from core.services.background_jobs import check_job
from core.services.json_results import json_result


@dataclass(slots=True, kw_only=True, eq=False)
class ChildJob:
    """A `Job`; how it stands is what Rekku has said last."""

    id: str
    name: str
    state: JobState = JobState.RUNNING
    result: Json = None
    error: str = ""
    _end: Callable[[str], None]

    def cancel(self) -> None:
        """End it."""
        self._end(self.id)


@dataclass(frozen=True, slots=True)
class ChildJobs:
    """The plugin's `Jobs`."""

    plugin: str
    peer: Peer
    functions: ChildFunctions
    _running: dict[str, tuple[ChildJob, int]] = field(default_factory=dict)

    def start(self, work: Callable[[], Awaitable[Json]], name: str, *, timeout_s: float = 3600.0) -> ChildJob:
        """Begin `work()` and return its handle; see `core.contracts.processes.Jobs`."""
        check_job(self.plugin, work, len(self._running), timeout_s)
        job = ChildJob(id=secrets.token_hex(4), name=name, _end=self._cancel)

        async def run() -> Json:
            return await json_result(await work(), f"{self.plugin}.{name}")

        number = self.functions.keep(run, name)
        self._running[job.id] = job, number
        self.peer.tell("job", job.id, number, name, timeout_s)
        return job

    def running(self) -> list[ChildJob]:
        """Return the jobs that run."""
        return [job for job, _ in self._running.values()]

    def ended(self, id_: str, state: JobState, result: Json, error: str) -> None:
        """Take over how a job has ended."""
        job, number = self._running.pop(id_, (None, 0))
        self.functions.drop(number)
        if job is not None:
            job.state, job.result, job.error = state, result, error

    def _cancel(self, id_: str) -> None:
        self.peer.tell("job_cancel", id_)
