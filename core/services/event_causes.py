"""What is being handled right now: the cause of whatever is emitted meanwhile."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from core.contracts.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The event that is being handled, and whose it is.

    principal, lane: of the turn or input that it came of, by which it is found when somebody is erased.
    """

    event_id: str
    correlation_id: str
    depth: int
    principal: str = ""
    lane: str = ""


current_cause: ContextVar[Cause | None] = ContextVar("rekku_current_cause", default=None)
"""Set while an event is handled and while a turn runs; tasks and threads that begin there inherit it."""


def as_cause(event: Event, principal: str, lane: str) -> Cause:
    """Return an event as the cause of what comes of it."""
    return Cause(
        event_id=event.id, correlation_id=event.correlation_id, depth=event.depth, principal=principal, lane=lane
    )
