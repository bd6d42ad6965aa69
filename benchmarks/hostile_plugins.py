"""Plugins that do harm, one kind each, for `benchmarks.hostile`; each is called by the command of its name."""

from __future__ import annotations

import asyncio
import time

from core.ai_plugin_base import AIPluginBase, action

BLOCK_S = 0.7
"""Longer than the 0.5 s from which on the watchdog counts."""

IN_A_THREAD_S = 0.3
LEAKED_TASKS = 100
PRINTED_LINES = 20_000
LINE = "x" * 100


class Animal(AIPluginBase):
    """Does harm until it is told to let go of what it holds."""

    def let_go(self) -> None:
        """End what is left of the calls so far."""

    async def stop(self) -> None:
        self.let_go()


class Kind(Animal):
    """Does no harm: what any neighbour costs that is called over and over."""

    @action(effect="read", command="kind")
    async def kind(self) -> str:
        """Answer."""
        return "answered"


class Raises(Animal):
    """Raises."""

    @action(effect="read", command="raises")
    async def raises(self) -> str:
        """Raise."""
        raise ValueError("on purpose")


class Swallows(Animal):
    """Goes on where it is cancelled."""

    def __init__(self) -> None:
        self._end = asyncio.Event()

    def let_go(self) -> None:
        self._end.set()
        self._end = asyncio.Event()

    @action(effect="read", timeout_s=0.1, command="swallows")
    async def swallows(self) -> str:
        """Swallow every cancellation."""
        end = self._end
        while not end.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue
        return "swallowed"


class BlocksThread(Animal):
    """Holds a worker thread."""

    @action(effect="read", command="blocks_thread")
    def blocks_thread(self) -> str:
        """Sleep in a thread."""
        time.sleep(IN_A_THREAD_S)
        return "slept"


class Leaks(Animal):
    """Leaves tasks behind."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[bool]] = []

    def let_go(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    @action(effect="read", command="leaks")
    async def leaks(self) -> str:
        """Begin tasks that do not end."""
        self._tasks += [asyncio.create_task(asyncio.Event().wait()) for _ in range(LEAKED_TASKS)]
        return "leaked"


class Floods(Animal):
    """Floods the standard output."""

    @action(effect="read", command="floods")
    def floods(self) -> str:
        """Print two megabytes."""
        for _ in range(PRINTED_LINES):
            print(LINE)
        return "printed"


class Exits(Animal):
    """Tries to end the process."""

    @action(effect="read", command="exits")
    async def exits(self) -> str:
        """Exit."""
        raise SystemExit(3)


class BlocksLoop(Animal):
    """Holds up the event loop."""

    @action(effect="read", command="blocks_loop")
    async def blocks_loop(self) -> str:
        """Sleep without awaiting."""
        time.sleep(BLOCK_S)  # noqa: ASYNC251 - the harm that is meant
        return "blocked"


class BlocksOutside(AIPluginBase):
    """Holds up the event loop of a process of its own."""

    isolation = "process"

    @action(effect="read", command="blocks_outside")
    async def blocks_outside(self) -> str:
        """Sleep without awaiting."""
        time.sleep(BLOCK_S)  # noqa: ASYNC251 - the harm that is meant
        return "blocked"
