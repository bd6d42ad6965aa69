"""What a thread of the SQLite database works off: functions, and whoever waits for them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, eq=False)
class Job:
    """A function that waits for its turn, and the future of whoever waits for it."""

    fn: Callable[[Any], Any]
    durable: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Answer whoever waits; runs in their loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


@dataclass(slots=True, eq=False)
class Writing:
    """What the writer's thread does: since when it runs `job`, one of `group`. lost: it was given up."""

    thread: int
    driver: sqlite3.Connection
    group: list[Job]
    job: Job | None = None
    since_s: float = 0.0
    lost: bool = False


class Lost(Exception):
    """The thread was given up: its connection is closed, and others do its work."""


def settle(jobs: list[Job]) -> None:
    """Answer for jobs of one group, from the thread of the database: each loop is woken once for all of them."""
    for loop in {job.loop for job in jobs}:
        mine = [job for job in jobs if job.loop is loop]
        try:
            loop.call_soon_threadsafe(_settle_here, mine)
        except RuntimeError:
            # The loop is gone (the process is going down): nobody waits for the answer any more.
            continue


def _settle_here(jobs: list[Job]) -> None:
    for job in jobs:
        job.settle()
