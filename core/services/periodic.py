"""Periodic jobs of plugins and of the core, driven by APScheduler; nothing of them is stored.

Reminders are none of these: they are rows (see `reminders`), since a job that is kept in memory is gone with the
process.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import re
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from core.ai_plugin_base import AIPluginBase
from core.services.foreign import ForeignCalls, Raised
from core.services.sync_or_async import invoke

log = structlog.get_logger("rekku.periodic")

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")

SKIPPED_FROM_S = 5
"""From this lateness on, in seconds, a run counts as late for a job that skips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of one owner. seconds: its interval; cron: five fields, in place of that. at_once: a first run now."""

    name: str
    run: Callable[[], Awaitable[Any]]
    seconds: float = 0.0
    cron: str = ""
    skip_late: bool = False
    timeout_s: float = 60.0
    at_once: bool = False


class BringsJobs:
    """What stands for a plugin and knows its jobs, where they cannot be read from its methods."""

    def jobs(self) -> list[Job]:
        """Return them."""
        return []


def jobs_of(plugin: object) -> list[Job]:
    """Return the jobs that a plugin declares."""
    if isinstance(plugin, BringsJobs):
        return plugin.jobs()
    if not isinstance(plugin, AIPluginBase):
        return []
    return [
        Job(
            name=name,
            run=_runner(getattr(plugin, name)),
            seconds=mark.seconds,
            cron=mark.cron,
            skip_late=mark.skip_late,
            timeout_s=mark.timeout_s,
        )
        for name, mark in type(plugin).declared_jobs()
    ]


def _runner(function: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    """Return what runs a job once; one without `async` not before the thread of its last run has ended.

    A deadline ends a coroutine, and no thread: of one that hangs, each run would leave another behind.
    """
    if inspect.iscoroutinefunction(function):
        return partial(invoke, function)
    busy = threading.Lock()
    told = False

    @functools.wraps(function)
    def in_thread() -> Any:
        try:
            return function()
        finally:
            busy.release()

    async def run() -> Any:
        nonlocal told
        if not busy.acquire(blocking=False):
            if told:
                return None
            told = True
            raise RuntimeError("its last run does not end, so no other is begun until it does")
        told = False
        return await invoke(in_thread)

    return run


class PeriodicJobs:
    """Runs jobs, each once at a time and within its deadline; one that fails is reported and runs again."""

    def __init__(self, foreign: ForeignCalls, timezone: str) -> None:
        self._foreign = foreign
        self._timezone = timezone
        self._jobs: dict[str, list[Job]] = {}
        self._scheduler: Any = None
        self._running: set[asyncio.Task[None]] = set()
        self._stopped = False

    def add(self, owner: str, jobs: Iterable[Job]) -> None:
        """Let these be the jobs of an owner from now on, in place of those it had."""
        for job in self._jobs.pop(owner, []):
            if self._scheduler is not None and self._scheduler.get_job(_id(owner, job)) is not None:
                self._scheduler.remove_job(_id(owner, job))
        found = list(jobs)
        if found:
            self._jobs[owner] = found
        for job in found if self._scheduler is not None else ():
            self._schedule(owner, job)

    async def start(self) -> None:
        """Begin to run jobs. The scheduler takes 0.2 s to import, which happens in a thread."""
        make = await asyncio.to_thread(_scheduler_class)
        if self._stopped:
            return
        # Its own lines name no job of ours and come at every run; what goes wrong is told below.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self._scheduler = make(timezone=ZoneInfo(self._timezone))
        self._scheduler.start()
        for owner, jobs in self._jobs.items():
            for job in jobs:
                self._schedule(owner, job)

    async def stop(self) -> None:
        """Run no more, and cancel what runs."""
        self._stopped = True
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def run_now(self, owner: str, name: str) -> None:
        """Run a job, as when its time has come; raises KeyError when there is none."""
        job = next((job for job in self._jobs.get(owner, []) if job.name == name), None)
        if job is None:
            raise KeyError(f"{owner}.{name}")
        await self._run(owner, job)

    def next_run(self, owner: str, name: str) -> datetime | None:
        """Return when a job runs next; None when it does not."""
        if self._scheduler is None:
            return None
        scheduled = self._scheduler.get_job(f"{owner}.{name}")
        at: datetime | None = None if scheduled is None else scheduled.next_run_time
        return at

    def _schedule(self, owner: str, job: Job) -> None:
        zone = ZoneInfo(self._timezone)
        try:
            trigger = _trigger(job, zone)
        except (ValueError, OverflowError) as error:
            log.error("a periodic job cannot be planned", job=_id(owner, job), error=str(error))
            return
        first = {"next_run_time": datetime.now(zone)} if job.at_once else {}
        self._scheduler.add_job(
            self._run,
            trigger,
            args=(owner, job),
            id=_id(owner, job),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=SKIPPED_FROM_S if job.skip_late else None,
            **first,
        )

    async def _run(self, owner: str, job: Job) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
        try:
            called = await self._foreign.call(f"periodic job {_id(owner, job)}", job.run, job.timeout_s, owner)
            if isinstance(called, Raised):
                log.warning(
                    "a periodic job failed",
                    job=_id(owner, job),
                    error=called.sentence,
                    where=called.where,
                    raised=called.error,
                )
        finally:
            if task is not None:
                self._running.discard(task)


def _id(owner: str, job: Job) -> str:
    return f"{owner}.{job.name}"


def _scheduler_class() -> Any:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    return AsyncIOScheduler


def _trigger(job: Job, zone: ZoneInfo) -> Any:
    """Return when a job runs; raises ValueError or OverflowError for what is no time."""
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.interval import IntervalTrigger

    if not job.cron:
        return IntervalTrigger(seconds=job.seconds, timezone=zone)
    *fields, days = job.cron.split()
    # In a crontab 0 and 7 are Sunday; the library counts from Monday.
    days = re.sub(r"(?<![/\d])[0-7](?!\d)", lambda day: _DAYS[int(day.group())], days)
    return CronTrigger.from_crontab(" ".join([*fields, days]), timezone=zone)
