"""Periodic jobs: declared with a decorator, run by the scheduler, gone with their plugin."""

from __future__ import annotations

import asyncio
import math
import threading
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from core.ai_plugin_base import AIPluginBase, every
from core.contracts.errors import DeclarationError
from core.services.foreign import ForeignCalls
from core.services.periodic import Job, PeriodicJobs, jobs_of
from core.testing import running_app


class Watch(AIPluginBase):
    """Counts its runs."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.ran = asyncio.Event()

    @every(hours=1)
    async def hourly(self) -> None:
        self.runs.append("hourly")
        self.ran.set()

    @every(cron="0 7 * * 1-5", late="skip")
    def in_the_morning(self) -> None:
        self.runs.append("morning")

    @every(seconds=30, timeout_s=0.05)
    async def hanging(self) -> None:
        await asyncio.Event().wait()


async def test_the_jobs_of_a_plugin_are_planned_and_gone_when_it_stops() -> None:
    watch = Watch()
    async with running_app(plugins=[watch]) as kit:
        periodic = kit.app.periodic
        for _ in range(500):
            if periodic.next_run("watch", "hourly"):
                break
            await asyncio.sleep(0.01)
        hourly, morning = periodic.next_run("watch", "hourly"), periodic.next_run("watch", "in_the_morning")
        assert hourly is not None
        assert morning is not None
        assert (morning.hour, morning.minute) == (7, 0)
        assert morning.weekday() < 5
        assert periodic.next_run("core", "housekeeping") is not None
        await kit.app.registry.stop_plugins()
        assert periodic.next_run("watch", "hourly") is None
        with pytest.raises(KeyError):
            await periodic.run_now("watch", "hourly")


async def test_a_run_has_a_deadline_and_one_that_fails_runs_again() -> None:
    watch = Watch()
    jobs = PeriodicJobs(ForeignCalls(), "UTC")
    jobs.add("watch", jobs_of(watch))
    await jobs.run_now("watch", "hanging")
    await jobs.run_now("watch", "hourly")
    await jobs.run_now("watch", "in_the_morning")
    assert watch.runs == ["hourly", "morning"]


class Stuck(AIPluginBase):
    """Its job hangs in a thread until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Event()
        self.gone = threading.Event()

    @every(seconds=30, timeout_s=0.05)
    def look(self) -> None:
        self.begun += 1
        self.go.wait()
        self.gone.set()


async def test_a_thread_that_hangs_is_not_joined_by_another_at_each_run() -> None:
    stuck = Stuck()
    jobs = PeriodicJobs(ForeignCalls(), "UTC")
    jobs.add("stuck", jobs_of(stuck))
    with capture_logs() as logs:
        for _ in range(4):
            await jobs.run_now("stuck", "look")
    assert stuck.begun == 1
    assert ["took longer" in line["error"] or "does not end" in line["error"] for line in logs] == [True, True]
    stuck.go.set()
    await asyncio.to_thread(stuck.gone.wait)
    for _ in range(500):  # the thread is about to say that it has ended
        await jobs.run_now("stuck", "look")
        if stuck.begun == 2:
            break
        await asyncio.sleep(0.01)
    assert stuck.begun == 2


async def test_the_scheduler_runs_what_is_due() -> None:
    watch = Watch()
    jobs = PeriodicJobs(ForeignCalls(), "UTC")
    jobs.add("watch", [Job(name="now", run=watch.hourly, seconds=3600, at_once=True)])
    await jobs.start()
    async with asyncio.timeout(5):
        await watch.ran.wait()
    await jobs.stop()
    assert watch.runs == ["hourly"]


async def test_what_is_stopped_while_it_starts_runs_nothing() -> None:
    watch = Watch()
    jobs = PeriodicJobs(ForeignCalls(), "UTC")
    jobs.add("watch", [Job(name="now", run=watch.hourly, seconds=3600, at_once=True)])
    starting = asyncio.ensure_future(jobs.start())
    await asyncio.sleep(0)
    await jobs.stop()
    await starting
    assert jobs.next_run("watch", "now") is None
    assert watch.runs == []


@pytest.mark.parametrize(
    ("cron", "weekdays"),
    [("0 7 * * 0", {6}), ("0 7 * * 7", {6}), ("0 7 * * 1-5", {0, 1, 2, 3, 4}), ("0 7 * * sat,0", {5, 6})],
)
async def test_days_are_those_of_a_crontab(cron: str, weekdays: set[int]) -> None:
    jobs = PeriodicJobs(ForeignCalls(), "Europe/Rome")
    jobs.add("x", [Job(name="y", run=lambda: asyncio.sleep(0), cron=cron)])
    await jobs.start()
    job = jobs._scheduler.get_job("x.y")
    at, seen = datetime(2026, 11, 20, tzinfo=ZoneInfo("Europe/Rome")), set()
    for _ in range(14):
        at = job.trigger.get_next_fire_time(at, at)
        seen.add(at.weekday())
    await jobs.stop()
    assert seen == weekdays


@pytest.mark.parametrize("planned_for", [{"cron": "61 * * * *"}, {"seconds": 1e300}])
def test_what_is_no_time_is_reported_and_stops_nobody(
    capsys: pytest.CaptureFixture[str], planned_for: dict[str, Any]
) -> None:
    async def planned() -> None:
        jobs = PeriodicJobs(ForeignCalls(), "UTC")
        jobs.add("x", [Job(name="y", run=lambda: asyncio.sleep(0), **planned_for)])
        await jobs.start()
        assert jobs.next_run("x", "y") is None
        await jobs.stop()

    asyncio.run(planned())
    assert "cannot be planned" in capsys.readouterr().out


@pytest.mark.parametrize(
    "interval",
    [
        {},
        {"seconds": 1e-6},
        {"hours": math.inf},
        {"minutes": 1, "cron": "0 7 * * *"},
        {"minutes": -1},
        {"cron": "0 7"},
        {"hours": 1, "late": "x"},
    ],
)
def test_a_wrong_declaration_is_an_error(interval: dict[str, object]) -> None:
    with pytest.raises(DeclarationError):
        every(**interval)(lambda self: None)  # type: ignore[arg-type]
