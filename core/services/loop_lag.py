"""How late the event loop is: a short sleep over and over, and how much longer than asked each of them took."""

from __future__ import annotations

from collections import deque

from core.contracts.services import Clock

BEAT_S = 0.25
RECENT_BEATS = 240
"""A minute of beats, when none is late."""

STALLED_S = 10.0
"""A loop that has not turned for so long counts as standing still."""


class LoopLag:
    """Measures the lag of the loop in which `run` runs, in seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lags: deque[float] = deque(maxlen=RECENT_BEATS)
        self._last_beat_s = clock.monotonic()
        self._most_s = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        self._last_beat_s = self._clock.monotonic()
        while True:
            await self._clock.sleep(BEAT_S)
            now_s = self._clock.monotonic()
            lag_s = max(now_s - self._last_beat_s - BEAT_S, 0.0)
            self._last_beat_s = now_s
            self._lags.append(lag_s)
            self._most_s = max(self._most_s, lag_s)

    @property
    def recent_s(self) -> float:
        """The largest lag of about the last minute, what is going on right now included."""
        return max([self.overdue_s, *self._lags])

    @property
    def most_s(self) -> float:
        """The largest lag since the start."""
        return max(self._most_s, self.overdue_s)

    @property
    def overdue_s(self) -> float:
        """How late the next beat is already."""
        return max(self._clock.monotonic() - self._last_beat_s - BEAT_S, 0.0)

    @property
    def stalled(self) -> bool:
        """Whether the loop has stood still for long, or the measuring has ended."""
        return self.overdue_s > STALLED_S
