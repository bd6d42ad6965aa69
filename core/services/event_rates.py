"""How many events one component may emit: a storm of one must not be everybody's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from core.contracts.services import Clock
from core.services.event_causes import current_cause
from core.services.foreign import Behalf, Call, ForeignCalls, Raised

log = structlog.get_logger("rekku.events")

WINDOW_S = 60.0
MOST_IN_A_WINDOW = 6000
MOST_ON_THEIR_WAY = 1000
"""Of one component at a time: handlers whose own events come back to them would have more and more."""


@dataclass(slots=True)
class _Window:
    """What a component has emitted in a minute. told: that it was too much is said."""

    began_s: float
    events: int = 0
    told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an event is not taken. first: it is the first one in this minute."""

    reason: str
    first: bool


class EventRates:
    """Counts what each component emits. A minute in which that is too much is one failure of the plugin."""

    def __init__(self, clock: Clock, foreign: ForeignCalls) -> None:
        self._clock = clock
        self._foreign = foreign
        self._windows: dict[str, _Window] = {}
        self._on_their_way: Counter[str] = Counter()

    def refusal(self, source: str) -> Refusal | None:
        """Count an event that a component wants to emit; return why it may not, or None."""
        now_s = self._clock.monotonic()
        window = self._windows.get(source)
        if window is None or now_s - window.began_s >= WINDOW_S:
            window = self._windows[source] = _Window(now_s)
        window.events += 1
        if self._on_their_way[source] >= MOST_ON_THEIR_WAY:
            reason = f"{MOST_ON_THEIR_WAY} events of {source} are on their way already."
        elif window.events > MOST_IN_A_WINDOW:
            reason = f"{source} has emitted {MOST_IN_A_WINDOW} events in a minute, which is the most."
        else:
            return None
        first, window.told = not window.told, True
        if first:
            self._tell(source, reason)
        return Refusal(reason=reason, first=first)

    @contextmanager
    def on_its_way(self, source: str) -> Iterator[None]:
        """Count an event for as long as it is put to its handlers."""
        self._on_their_way[source] += 1
        try:
            yield
        finally:
            self._on_their_way[source] -= 1
            if not self._on_their_way[source]:
                del self._on_their_way[source]

    def _tell(self, source: str, reason: str) -> None:
        log.error("a storm of events: those that follow are refused", source=source, reason=reason)
        cause = current_cause.get()
        behalf = None
        if cause is not None and cause.principal:
            behalf = Behalf(principal=cause.principal, turn=cause.correlation_id)
        self._foreign.on_end(Call(source, "events", behalf), Raised(OverflowError(reason)))
