"""How much harm each plugin has done lately, and when that is enough."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from core.contracts.errors import RekkuError
from core.contracts.services import Clock
from core.services.foreign import Raised, Returned
from core.services.loop_watchdog import Block
from core.settings import WatchdogSettings


class Strikes:
    """Counts, and has a plugin quarantined: `quarantine(name, reason)`."""

    def __init__(self, settings: WatchdogSettings, clock: Clock, quarantine: Callable[[str, str], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._quarantine = quarantine
        self._failures: dict[str, int] = defaultdict(int)
        self._blocks: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=settings.blocks))

    def call_ended(self, owner: str, ended: Returned[Any] | Raised) -> None:
        """Count how a call of a plugin has ended."""
        most = self._settings.failures_in_a_row
        if isinstance(ended, Returned):
            self._failures.pop(owner, None)
            return
        if not most or not _is_fault(ended):
            return
        self._failures[owner] += 1
        if self._failures[owner] >= most:
            self.forgive(owner)
            times = "once" if most == 1 else f"{most} times in a row"
            self._quarantine(owner, f"It failed {times}, at last with {ended.sentence.rstrip('.')}.")

    def blocked(self, block: Block) -> None:
        """Count that a plugin held up everybody else."""
        settings, owner = self._settings, block.owner
        if not settings.block_s or block.seconds < settings.block_s:
            return
        if block.seconds >= settings.longest_block_s:
            self.forgive(owner)
            self._quarantine(owner, f"{block.sentence}.")
            return
        now_s, blocks = self._clock.monotonic(), self._blocks[owner]
        blocks.append(now_s)
        if len(blocks) == settings.blocks and now_s - blocks[0] <= settings.within_minutes * 60:
            count = len(blocks)
            self.forgive(owner)
            times = f" ({count} times within {settings.within_minutes} minutes)" if count > 1 else ""
            self._quarantine(owner, f"{block.sentence}{times}.")

    def forgive(self, owner: str) -> None:
        """Forget what was counted of a plugin."""
        self._failures.pop(owner, None)
        self._blocks.pop(owner, None)


def _is_fault(ended: Raised) -> bool:
    """Whether a failure is the plugin's: not what it says on purpose, nor what the world or we have done to it."""
    return ended.timed_out or not isinstance(ended.error, RekkuError | ConnectionError)
