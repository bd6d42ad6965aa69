"""Running children: a few at a time, forked from one process that has imported everything."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.faults.child import Job, as_line

AT_ONCE = 3
STARTING_S = 60.0
ENDING_S = 60.0
ROOT = Path(__file__).parents[2]


class Children:
    """`async with Children() as children`: runs jobs, a few at a time."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._numbers = itertools.count(1)
        self._free = asyncio.Semaphore(at_once)
        self._begun: dict[int, asyncio.Future[int]] = {}
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Children:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.child",
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(ENDING_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._listener

    def number(self) -> int:
        """Return the number of a new job."""
        return next(self._numbers)

    async def run(
        self,
        job: Job,
        *,
        kill_after_s: float | None = None,
        while_it_runs: Callable[[int], Awaitable[None]] | None = None,
    ) -> int:
        """Run a job to its end and return its exit code, negative for a signal.

        kill_after_s: SIGKILL then. while_it_runs: called with the process's id; when it returns, SIGKILL.
        """
        loop = asyncio.get_running_loop()
        async with self._free:
            begun: asyncio.Future[int] = loop.create_future()
            ended: asyncio.Future[int] = loop.create_future()
            self._begun[job.job], self._ended[job.job] = begun, ended
            assert self._process.stdin is not None
            self._process.stdin.write(as_line(job))
            await self._process.stdin.drain()
            async with asyncio.timeout(STARTING_S):
                pid = await begun
            if while_it_runs is not None:
                watching = asyncio.ensure_future(while_it_runs(pid))
                either: set[asyncio.Future[Any]] = {ended, watching}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                watching.cancel()
            if kill_after_s is not None:
                await asyncio.wait({ended}, timeout=kill_after_s)
            if (while_it_runs is not None or kill_after_s is not None) and not ended.done():
                os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(job.patience_s + ENDING_S):
                return await ended

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            async for line in self._process.stdout:
                event = json.loads(line)
                if "pid" in event:
                    self._begun.pop(event["job"]).set_result(event["pid"])
                else:
                    self._ended.pop(event["job"]).set_result(event["code"])
        finally:
            for waiting in [*self._begun.values(), *self._ended.values()]:
                waiting.set_exception(RuntimeError("what forks children has ended, or said something else"))
