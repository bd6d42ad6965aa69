"""How much harm each plugin has done lately, and when that is enough.

A failure is blamed on the plugin, but what it was given comes from people. So that nobody can have a plugin taken out
of use by feeding it what it cannot digest, failures count by who has caused them: in full what a trainer has, or
nobody (a periodic job); of each user a few; of anybody else none. Holding up everybody else counts whoever caused it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.contracts.errors import RekkuError
from core.contracts.inputs import Principal, Role
from core.contracts.services import Clock
from core.services.budgets import PLUGINS
from core.services.foreign import Behalf, Call, Raised, Returned
from core.services.loop_watchdog import Block
from core.settings import WatchdogSettings

MOST_OF_A_USER = 2
"""Failures that count of those that one user has caused."""


@dataclass(slots=True, kw_only=True)
class _Failure:
    """What failed in one turn, or by itself, and has not worked since.

    user: who has caused it, "" for a trainer or nobody. at_s: when it was last, on the clock's `monotonic()`.
    """

    calls: set[str]
    turn: str
    at_s: float
    user: str = ""


@dataclass(slots=True)
class _Failures:
    """The failures of one plugin."""

    row: list[_Failure] = field(default_factory=list)

    def made_good(self, label: str) -> None:
        """Take a call that has worked out of the row."""
        for failure in self.row:
            failure.calls.discard(label)
        self.row = [failure for failure in self.row if failure.calls]

    def add(self, label: str, turn: str, user: str, most: int, now_s: float) -> None:
        """Add a failure, unless its turn is in the row already or `most` of this user are."""
        same_turn = next((failure for failure in self.row if turn and failure.turn == turn), None)
        if same_turn is not None:
            same_turn.calls.add(label)
            same_turn.at_s = now_s
        elif not user or sum(failure.user == user for failure in self.row) < most:
            self.row.append(_Failure(calls={label}, turn=turn, user=user, at_s=now_s))

    def forget(self, before_s: float) -> None:
        """Take what was last before an instant out of the row."""
        self.row = [failure for failure in self.row if failure.at_s >= before_s]


class Strikes:
    """Counts, and has a plugin quarantined: `quarantine(name, reason)`. role: of a principal now."""

    def __init__(
        self,
        settings: WatchdogSettings,
        clock: Clock,
        quarantine: Callable[[str, str], None],
        role: Callable[[Principal], Role],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._quarantine = quarantine
        self._role = role
        self._failures: dict[str, _Failures] = defaultdict(_Failures)
        self._blocks: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=settings.blocks))

    def call_ended(self, call: Call, ended: Returned[Any] | Raised) -> None:
        """Count how a call of a plugin has ended."""
        owner, most = call.owner, self._settings.failures_in_a_row
        if isinstance(ended, Returned):
            if owner in self._failures:
                self._failures[owner].made_good(call.label)
            return
        if not most or not _is_fault(ended):
            return
        user = self._blamed(call.behalf)
        if user is None:
            return
        failures, now_s = self._failures[owner], self._clock.monotonic()
        failures.forget(now_s - self._settings.failures_within_hours * 3600)
        turn = "" if call.behalf is None else call.behalf.turn
        failures.add(call.label, turn, user, min(MOST_OF_A_USER, most - 1), now_s)
        if len(failures.row) >= most:
            self.forgive(owner)
            times = "once" if most == 1 else f"{most} times in a row"
            self._quarantine(owner, f"It failed {times}, at last in {call.label} with {ended.sentence.rstrip('.')}.")

    def _blamed(self, behalf: Behalf | None) -> str | None:
        """Return which user has caused a failure, "" for a trainer or nobody; None: it does not count."""
        try:
            principal = None if behalf is None else Principal.parse(behalf.principal)
        except ValueError:
            principal = None
        if principal is None or principal.interface == PLUGINS:
            return ""
        role = self._role(principal)
        if role is Role.TRAINER:
            return ""
        return str(principal) if role is Role.USER else None

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
