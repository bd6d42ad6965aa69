"""A clock on which who sleeps wakes when the test moves it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tests.support.plugin_context import START_MS


@dataclass(slots=True)
class SteppedClock:
    """Stands still until `advance` is called. `sleeps` are the seconds that were ever slept for."""

    ms: int = START_MS
    sleeps: list[float] = field(default_factory=list)
    sleepers: list[tuple[int, asyncio.Future[None]]] = field(default_factory=list)

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        future = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.ms + round(seconds * 1000), future))
        await future

    def advance(self, seconds: float) -> None:
        """Move on; whose time has come wakes."""
        self.ms += round(seconds * 1000)
        for due_ms, future in self.sleepers:
            if due_ms <= self.ms and not future.done():
                future.set_result(None)
        self.sleepers = [(due_ms, future) for due_ms, future in self.sleepers if not future.done()]

    async def slept_for(self, seconds: float, timeout_s: float = 10.0) -> None:
        """Wait until somebody sleeps for so long."""
        async with asyncio.timeout(timeout_s):
            # Real work over a socket lies between.
            while not any(due_ms - self.ms == round(seconds * 1000) for due_ms, _ in self.sleepers):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
