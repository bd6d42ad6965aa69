"""Who holds up the event loop: while a beat is overdue, a thread looks at what the loop is doing.

A machine that sleeps, or has no time for this process, stops the thread as well: only what the thread has seen
counts.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog

from core.services.foreign import ForeignCalls
from core.settings import WatchdogSettings

log = structlog.get_logger("rekku.watchdog")

BEAT_S = 0.1
LOOK_S = 0.05
MOST_A_LOOK_S = 1.5 * LOOK_S
"""A look that comes later counts for no more: nobody knows what was going on in between, and most likely the machine
had no time for this process, which is no plugin's fault."""

SUSPICIOUS_S = 0.1
"""How late a beat has to be for the thread to look."""

STUCK_S = 60.0
"""A loop that stands still for so long may never go on."""

MOST_FRAMES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """owner: the plugin that did it, "" where that is not known. seconds: for how long. call, where: what ran."""

    owner: str
    seconds: float
    call: str
    where: str
    what: str = "It held up the event loop"

    @property
    def sentence(self) -> str:
        """What happened, without a full stop."""
        in_call = f" in {self.call}" if self.call else ""
        at = f", at {self.where}" if self.where else ""
        return f"{self.what} for {self.seconds:.1f} s{in_call}{at}"


class LoopWatchdog:
    """Watches one loop from a thread of its own.

    owner_of: the plugin that a file of code belongs to, or "". on_block: told in the loop of every block that has
    ended. on_stuck: told in the thread, once, of one that goes on for a minute.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        foreign: ForeignCalls,
        owner_of: Callable[[str], str],
        settings: WatchdogSettings,
        on_block: Callable[[Block], None],
        on_stuck: Callable[[Block], None] = lambda block: None,
    ) -> None:
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._foreign = foreign
        self._owner_of = owner_of
        self._settings = settings
        self._on_block = on_block
        self._on_stuck = on_stuck
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beat_at_s = self._looked_at_s = time.monotonic()
        self._seen: dict[tuple[str, str], float] = {}
        self._where: dict[tuple[str, str], str] = {}
        self._told_stuck = False
        self._stalls: deque[tuple[float, float]] = deque(maxlen=256)

    def start(self) -> None:
        """Begin, in the loop that is watched."""
        if not self._settings.block_s:
            return
        self._beat_at_s = self._looked_at_s = time.monotonic()
        self._timer = self._loop.call_later(BEAT_S, self._beat)
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()

    def note_stall(self, seconds: float) -> None:
        """Note for how long the machine had no time for us just now."""
        self._stalls.append((time.monotonic(), seconds))

    def stalled_s(self, within_s: float) -> float:
        """Return for how long of the last `within_s` seconds the machine had no time for us."""
        since_s = time.monotonic() - within_s
        return sum(seconds for at_s, seconds in list(self._stalls) if at_s >= since_s)

    def _beat(self) -> None:
        seen, self._seen = self._seen, {}
        where, self._where = self._where, {}
        self._beat_at_s = time.monotonic()
        self._told_stuck = False
        self._timer = self._loop.call_later(BEAT_S, self._beat)
        if seen:
            block = self._block(seen, where)
            if block.seconds >= self._settings.block_s:
                log.warning(
                    "the event loop stood still",
                    plugin=block.owner,
                    seconds=round(block.seconds, 2),
                    call=block.call,
                    where=block.where,
                )
                self._on_block(block)

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        now_s = time.monotonic()
        passed_s, self._looked_at_s = now_s - self._looked_at_s, now_s
        if passed_s > MOST_A_LOOK_S:
            self.note_stall(passed_s - LOOK_S)
            passed_s = MOST_A_LOOK_S
        late_s = now_s - self._beat_at_s - BEAT_S
        if late_s < SUSPICIOUS_S:
            return
        seen, places = self._seen, self._where
        owner, call, where = self._running()
        seen[owner, call] = seen.get((owner, call), 0.0) + passed_s
        places.setdefault((owner, call), where)
        if late_s > STUCK_S and not self._told_stuck:
            self._told_stuck = True
            block = self._block(dict(seen), places)
            log.error("the event loop stands still", plugin=block.owner, call=block.call, where=block.where)
            self._on_stuck(block)

    def _block(self, seen: dict[tuple[str, str], float], where: dict[tuple[str, str], str]) -> Block:
        owner, call = max(seen, key=lambda key: seen[key])
        seconds = sum(seen.values()) + SUSPICIOUS_S
        if seen[owner, call] * 2 < sum(seen.values()):
            owner, call = "", ""  # many did a little each
        return Block(owner=owner, seconds=seconds, call=call, where=where.get((owner, call), ""))

    def _running(self) -> tuple[str, str, str]:
        """Return the plugin whose code the loop runs, the call, and the line; whatever is not known is ""."""
        call = self._foreign.now_in(self._loop)
        owner, label = ("", "") if call is None else (call.owner, call.label)
        frame: FrameType | None = sys._current_frames().get(self._loop_thread)
        inner = ""
        for _ in range(MOST_FRAMES):
            if frame is None:
                break
            file = frame.f_code.co_filename
            inner = inner or f"{Path(file).name}, line {frame.f_lineno}"
            of = self._owner_of(file)
            if of and (not owner or of == owner):
                return of, label, f"{Path(file).name}, line {frame.f_lineno}"
            frame = frame.f_back
        return owner, label, inner if owner or label else ""
