"""What is counted while the process runs, for whoever looks at it from outside; nothing of it is stored.

Numbers alone: no chat, no person and no text stands in them, and what they are told apart by is a short closed list
(the engines of the installation, the ways in which a turn ends), so that they cannot grow without bound.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.contracts.engine import Usage
from core.contracts.errors import EngineError

CALL_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
LATENESS_BOUNDS_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 300.0, 3600.0, 86_400.0)

TURN_RESULTS = ("complete", "awaiting_approval", "aborted", "error")
REMINDER_RESULTS = ("done", "skipped", "denied", "failed")


class Distribution:
    """How many values lie below each bound, as Prometheus wants it. `last`: the newest value, None without any."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.sum = 0.0
        self.last: float | None = None

    def add(self, value: float) -> None:
        """Count a value in."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value
        self.last = value

    def buckets(self) -> list[tuple[str, float]]:
        """Return (bound, how many values are not above it), the last bound being "+Inf"."""
        found, below = [], 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            below += count
            found.append((bound, float(below)))
        return found


@dataclass(slots=True, kw_only=True)
class EngineFigures:
    """The calls of one engine. results: by "ok" or the code of the error. tokens: by prompt, cached, completion."""

    seconds: Distribution = field(default_factory=lambda: Distribution(CALL_BOUNDS_S))
    results: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)


class Figures:
    """The counters of one app."""

    def __init__(self) -> None:
        self.engines: dict[str, EngineFigures] = defaultdict(EngineFigures)
        # From zero on, since a rate cannot be told of a counter that first appears with a 1.
        self.turns = Counter(dict.fromkeys(TURN_RESULTS, 0))
        self.reminders = Counter(dict.fromkeys(REMINDER_RESULTS, 0))
        self.lateness = Distribution(LATENESS_BOUNDS_S)

    def engine_answered(self, engine: str, seconds: float, usage: Usage) -> None:
        """An engine gave a reply. Tokens that the server did not tell count as none."""
        counted = self.engines[engine]
        counted.seconds.add(seconds)
        counted.results["ok"] += 1
        counted.tokens["prompt"] += usage.prompt_tokens or 0
        counted.tokens["cached"] += usage.cached_tokens or 0
        counted.tokens["completion"] += usage.completion_tokens or 0

    def engine_failed(self, engine: str, seconds: float, error: EngineError) -> None:
        """An engine gave none."""
        counted = self.engines[engine]
        counted.seconds.add(seconds)
        counted.results[error.code] += 1

    def turn_ended(self, result: str) -> None:
        """A turn came to an end, or to a stop until somebody approves: "complete", "error", "aborted" and so on."""
        self.turns[result] += 1

    def reminder_fired(self, result: str, late_s: float) -> None:
        """An occurrence was dealt with, so many seconds behind its instant."""
        self.reminders[result] += 1
        self.lateness.add(late_s)
