"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools

START_MS = 1_795_196_220_000
"""Friday 2026-11-20 17:37 UTC."""

MOST_WAKES = 100_000
TURNS_OF_THE_LOOP = 5
"""How often the event loop goes round after each sleeper was woken, so that it can get to its next sleep."""


class FakeClock:
    """A `Clock`. `start_ms`: UTC milliseconds at which it stands."""

    def __init__(self, start_ms: int = START_MS) -> None:
        self._start_ms = start_ms
        self._ms = start_ms
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_ms(self) -> int:
        """Return UTC milliseconds since 1970."""
        return self._ms

    def monotonic(self) -> float:
        """Return the seconds that the clock was moved by."""
        return (self._ms - self._start_ms) / 1000

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved so far; a wait of no time returns at once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._ms + max(round(seconds * 1000), 1), next(self._order), woken))
        await woken

    @property
    def sleepers(self) -> int:
        """How many tasks sleep."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Move the clock and wake whoever sleeps until then, in the order of their times.

        Each is woken at its own time and may sleep again within the span. Raises RuntimeError when they do so
        without end.
        """
        until_ms = self._ms + round(seconds * 1000)
        for _ in range(MOST_WAKES):
            if not self._sleepers or self._sleepers[0][0] > until_ms:
                self._ms = until_ms
                return
            due_ms, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue  # its task was cancelled
            self._ms = max(self._ms, due_ms)
            woken.set_result(None)
            for _ in range(TURNS_OF_THE_LOOP):
                await asyncio.sleep(0)
        raise RuntimeError(f"{MOST_WAKES} sleeps ended within {seconds:g} s: something sleeps in a circle.")
