"""Processes that run the real App and die where they are told to: `python -m tests.faults.child`.

It reads one `Job` a line, as JSON, and runs each in a fork of its own, so that the imports are paid once. It answers
`{"job", "pid"}` when a job begins and `{"job", "code"}` when its process has ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog
from pydantic import SecretStr

import core.app
import core.services.joined_inputs
import core.storage.server
import core.storage.sqlite
import core.turn.dispatch
from core.app import App
from core.contracts.json import JsonObject
from core.ownership import Duty
from core.services import inbox, outbox, reminders
from core.settings import Access, Settings
from core.settings.components import ComponentTable
from tests.faults.outside import PLATFORM, TRAINER, Actions, Model, Platform, Records, Said

DIED = 9
STUCK = 3
CRASHED = 4
PATIENCE_S = 60.0
POLL_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of the App on `home`, until nothing is left to do.

    die_at, die_after: `os._exit` at the n-th passing of this label. stop_at: leave the App in good order when this
    label is passed first, with `drain_s` seconds for what runs. think_s, act_s, send_s: how long the model, an
    external action and a send take. busy_s: how long a statement waits for a file that another process has locked.
    joins: messages that wait become one turn. database: the URL of a server, "" for SQLite in the home. duties: what
    this process does, all when there are none. lease_ms: how long a claim holds without being renewed. for_good: run
    until killed, also when nothing is left to do; SIGTERM lets it leave in good order. patience_s: how long to wait
    for the rest to be done.
    """

    job: int
    home: str
    world: str
    said: list[JsonObject] = field(default_factory=list)
    die_at: str = ""
    die_after: int = 1
    stop_at: str = ""
    drain_s: float = 0.2
    think_s: float = 0.0
    act_s: float = 0.0
    send_s: float = 0.0
    busy_s: float = 5.0
    joins: bool = False
    database: str = ""
    duties: list[str] = field(default_factory=list)
    lease_ms: int = inbox.LEASE_MS
    for_good: bool = False
    patience_s: float = PATIENCE_S


async def run(job: Job) -> int:
    """Run a job and return its exit code, unless it dies before."""
    records = Records(Path(job.world))
    passed: Counter[str] = Counter()
    stop = asyncio.Event()

    def reached(label: str) -> None:
        passed[label] += 1
        if label == job.die_at and passed[label] == job.die_after:
            os._exit(DIED)
        if label == job.stop_at:
            stop.set()

    core.app.DRAIN_S = job.drain_s
    core.storage.sqlite.BUSY_TIMEOUT_S = job.busy_s
    inbox.LEASE_MS = outbox.LEASE_MS = job.lease_ms
    core.services.joined_inputs.LEASE_MS = job.lease_ms  # type: ignore[attr-defined]
    core.turn.dispatch.RENEW_EVERY_S = job.lease_ms / 3000
    platform = Platform(records, [Said(**said) for said in job.said], job.send_s)
    app = App(
        settings(Path(job.home), job.database),
        plugins=[Actions(records, job.act_s)],
        interfaces=[_named(platform)],
        engines=[Model(records, job.think_s, job.joins)],
        reached=reached,
        duties=frozenset(map(Duty, job.duties)),
    )
    code = 0
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with app:
        records.add("up", job=job.job)
        if job.for_good:
            await stop.wait()
        elif job.stop_at:
            async with asyncio.timeout(PATIENCE_S):
                await stop.wait()
        elif not await _idle(app, platform, job.patience_s):
            code = STUCK
    for label, times in passed.items():
        records.add("passed", label=label, times=times)
    return code


def settings(home: Path, database: str = "") -> Settings:
    """The settings of every child."""
    return Settings(
        home=home,
        database_url=SecretStr(database) if database else None,
        timezone="UTC",
        access=Access.OPEN,
        trainer_ids=frozenset({f"{PLATFORM}:{TRAINER}"}),
        policy_rules=({"action": "risky", "verdict": "ask"},),
        components={
            "plugins": {name: ComponentTable(enabled=False) for name in ("weather", "dice", "time", "terminal")}
        },
    )


def _named(platform: Platform) -> Platform:
    platform.name = PLATFORM
    return platform


async def _idle(app: App, platform: Platform, patience_s: float) -> bool:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if platform.quiet and not app.dispatcher.busy:
            open_inputs = await app.database.read(inbox.count_open)
            letters = await app.database.read(outbox.counts)
            now_ms = app.clock.now_ms()
            due = await app.database.read(lambda conn, at=now_ms: reminders.due(conn, at, 1))  # type: ignore[misc]
            if not open_inputs and not due and not letters.keys() & set(outbox.OPEN) and platform.quiet:
                return True
        await asyncio.sleep(POLL_S)
    return False


def _in_fork(job: Job) -> None:
    """Become the job's process; never returns."""
    code = CRASHED
    try:
        log = os.open(Path(job.world) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = asyncio.run(run(job))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Serve jobs from stdin until it ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is what `_tell` answers on
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(run(Job(job=0, home=f"{place}/home", world=place)))  # imports what is imported when it is used
    running: dict[int, int] = {}
    buffer = b""
    ended = False
    while not ended or running:
        ready, _, _ = select.select([] if ended else [0], [], [], POLL_S)
        if ready:
            chunk = os.read(0, 1 << 16)
            ended = not chunk
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                job = Job(**json.loads(line))
                pid = os.fork()
                if pid == 0:
                    _in_fork(job)
                running[pid] = job.job
                _tell(job=job.job, pid=pid)
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            _tell(job=running.pop(pid), code=os.waitstatus_to_exitcode(status))


def _tell(**event: int) -> None:
    os.write(1, (json.dumps(event) + "\n").encode())


def as_line(job: Job) -> bytes:
    """Return a job as it is handed to `serve`."""
    return (json.dumps(asdict(job)) + "\n").encode()


if __name__ == "__main__":
    serve()
