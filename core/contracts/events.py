"""Events: what happened, who is told of it, and what those who are told may answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from core.contracts.json import Json, JsonObject

LONGEST_NAME = 100
MOST_DEPTH = 16
"""How many events may stand behind each other as causes; the next one is refused, since they run in a circle."""

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


def check_event_name(name: object) -> str:
    """Return the name of an event as it is; raises ValueError unless it is dotted and lower-case, as lamp.switched.

    Two segments at least, of letters, digits and _, and LONGEST_NAME characters at most.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ValueError(f"{name!r:.150} is no name of an event: write lower-case words with dots, as lamp.switched")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened.

    data: a JSON object; each handler gets a copy of its own. id: unique. cause: the id of the event that it came of,
    or "". correlation_id: what belongs together has the same (of a turn: "turn-ID"). at_ms: UTC milliseconds.
    source: "core", or the name of the plugin that emitted it. depth: how many causes stand before it.
    """

    name: str
    data: JsonObject = field(default_factory=dict)
    id: str = ""
    cause: str = ""
    correlation_id: str = ""
    at_ms: int = 0
    source: str = "core"
    depth: int = 0

    def __post_init__(self) -> None:
        check_event_name(self.name)


class EventStage(StrEnum):
    """When a handler is called. VALIDATE: first, it may reject. FILTER: it may rewrite or drop. HANDLE: last."""

    VALIDATE = "validate"
    FILTER = "filter"
    HANDLE = "handle"


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer of a handler in stage `validate`: the event is not passed on. The reason is recorded and told."""

    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Answer of a handler in stage `filter`: the event ends here, silently."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """Answer of a handler in stage `handle`: no handler behind it is called."""

    reason: str = ""


EventHandler: TypeAlias = Callable[[Event], Any]
"""A handler, with `async` or without (then it runs in a thread).

It returns None, or: in `validate` a Reject; in `filter` a Drop or the data anew (dict); in `handle` a Stop or the
answer to a request (JSON).
"""

EventCondition: TypeAlias = Callable[[Event], Any]
"""Says of an event whether a handler is to be called, with `async` or without; one that raises says no."""


class EventEnd(StrEnum):
    """What became of an event. HANDLED: it was put to every handler there is. CANCELLED: its emitter was."""

    HANDLED = "handled"
    STOPPED = "stopped"
    REJECTED = "rejected"
    DROPPED = "dropped"
    CANCELLED = "cancelled"


class HandlerEnd(StrEnum):
    """What became of one handler of an event: the first six ran, or began to; the others were not called."""

    RAN = "ran"
    REJECTED = "rejected"
    DROPPED = "dropped"
    STOPPED = "stopped"
    RAISED = "raised"
    TIMED_OUT = "timed out"
    CONDITION = "condition false"
    PASSED_OVER = "passed over"
    NOT_IN_USE = "not in use"
    RESTING = "resting"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerRun:
    """What became of one handler. handler: the method's name. reason: why, where there is more to say."""

    plugin: str
    handler: str
    stage: EventStage
    end: HandlerEnd
    reason: str = ""
    took_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What became of an event. event: as the last handlers saw it. reason: why it ended before them all."""

    event: Event
    end: EventEnd
    reason: str = ""
    runs: tuple[HandlerRun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one handler answered to `gather`: a value, or in `error` a sentence on why there is none."""

    plugin: str
    handler: str
    value: Json = None
    error: str = ""


class Subscription(Protocol):
    """A handler that was subscribed while its plugin runs."""

    def cancel(self) -> None:
        """Call it no more; doing so twice does no harm."""


class Events(Protocol):
    """What a plugin does with events. Names that only the core emits (`CORE_EVENTS`) are refused with ValueError.

    data: a JSON object of at most 64 KiB; ValueError otherwise. What is emitted while an event or a turn is being
    handled has that as its cause, and its correlation id.
    """

    async def emit(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 30.0) -> Handled:
        """Tell everybody, in the order of priority; returns when all have been told, or `timeout_s` is over."""

    async def request(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 5.0) -> Json:
        """Ask in the order of priority, and return the first answer that is not None; None: nobody has one.

        Raises EventRefused when the event was rejected or dropped.
        """

    async def gather(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 5.0) -> list[Answer]:
        """Ask all side by side, and return all answers that are not None, and the errors, by priority.

        Raises EventRefused when the event was rejected or dropped.
        """

    def subscribe(
        self,
        pattern: str,
        handler: EventHandler,
        *,
        when: EventCondition | None = None,
        stage: str = "handle",
        priority: int = 100,
        timeout_s: float = 5.0,
    ) -> Subscription:
        """Have `handler` called from now on, until the subscription is cancelled or the plugin stops.

        The arguments are those of `@on`; when: None is `always`. Raises DeclarationError for what cannot be.
        """
