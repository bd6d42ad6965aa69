"""Calls of event handlers: the condition, the deadline, isolation, and a note of what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog

from core.bounded_search import SearchTooLong
from core.contracts.actions import Untrusted
from core.contracts.events import Drop, Event, EventStage, HandlerEnd, HandlerRun, Reject, Stop
from core.contracts.json import compact, storable
from core.contracts.services import Clock
from core.event_conditions import is_quick, runs_in_loop
from core.services.event_causes import as_cause, current_cause
from core.services.event_data import copied, short
from core.services.event_handlers import EventHandlers, HandlerBinding
from core.services.event_history import MOST_RUNS
from core.services.foreign import Behalf, ForeignCalls, Raised, Returned
from core.services.json_results import json_result
from core.services.sync_or_async import invoke

log = structlog.get_logger("rekku.events")

CONDITION_TIMEOUT_S = 1.0
LATE_IN_A_ROW = 3
MOST_LATE = 1000
REST_S = 60.0
"""A handler that was late so often in a row is not called for so long: it holds up all others."""

MOST_DATA_BYTES = 64 * 1024

answer_wanted: ContextVar[bool] = ContextVar("rekku_answer_wanted", default=False)
"""Whether what the handler that is being called answers beside a Stop is wanted; else it need not be fetched."""

_ALLOWED: dict[EventStage, tuple[type, ...]] = {
    EventStage.VALIDATE: (Reject,),
    EventStage.FILTER: (Drop, dict),
    EventStage.HANDLE: (Stop,),
}
_ENDS = {Reject: HandlerEnd.REJECTED, Drop: HandlerEnd.DROPPED, Stop: HandlerEnd.STOPPED}


@dataclass(slots=True, kw_only=True)
class Passage:
    """One event on its way past its handlers. until: the instant of the loop's clock at which it has to be over.

    answers: whether what handlers return in stage `handle` is wanted. runs: what became of each so far.
    """

    event: Event
    principal: str
    lane: str
    until: float
    answers: bool = False
    runs: list[HandlerRun] = field(default_factory=list)

    def note(self, binding: HandlerBinding, end: HandlerEnd, reason: str = "", took_ms: int = 0) -> None:
        """Note what became of a handler."""
        if len(self.runs) < MOST_RUNS:
            self.runs.append(
                HandlerRun(
                    plugin=binding.plugin,
                    handler=binding.method,
                    stage=binding.stage,
                    end=end,
                    reason=short(reason),
                    took_ms=took_ms,
                )
            )


@dataclass(slots=True)
class _Lateness:
    binding: HandlerBinding
    in_a_row: int = 0
    rests_until: float = 0.0


class EventCalls:
    """Calls handlers, one that misbehaves like any other."""

    def __init__(
        self,
        handlers: EventHandlers,
        foreign: ForeignCalls,
        clock: Clock,
        mask: Callable[[str], str],
        *,
        rehearsal: bool = False,
    ) -> None:
        """rehearsal: whether nothing outside may be touched: those plugins that just hear of things are not told."""
        self._handlers = handlers
        self._foreign = foreign
        self._clock = clock
        self._mask = mask
        self._rehearsal = rehearsal
        self._called = ""
        self._late: dict[int, _Lateness] = {}
        """By the identity of the binding, which is kept in it: methods of one name are not taken for each other."""

    async def call(self, binding: HandlerBinding, passage: Passage) -> Returned[Any] | Raised | None:
        """Call a handler if the event concerns it; None: it was not called. What it answers fits its stage."""
        if not self._handlers.still(binding):
            passage.note(binding, HandlerEnd.NOT_IN_USE)
            return None
        if self._rehearsal and binding.owner and binding.stage is EventStage.HANDLE and not passage.answers:
            passage.note(binding, HandlerEnd.PASSED_OVER, "This is a dry run.")
            return None
        lateness = self._late.get(id(binding))
        if lateness is not None and lateness.rests_until > self._clock.monotonic():
            passage.note(binding, HandlerEnd.RESTING, f"It was late {LATE_IN_A_ROW} times in a row.")
            return None
        left_s = passage.until - asyncio.get_running_loop().time()
        if left_s <= 0:
            passage.note(binding, HandlerEnd.PASSED_OVER, "No time was left.")
            return None
        event = replace(passage.event, data=copied(passage.event.data))
        token = current_cause.set(as_cause(event, passage.principal, passage.lane))
        self._called = binding.label if event.source == "core" else self._called
        try:
            if not await self._holds(binding, event, passage):
                return None
            return await self._call(binding, event, passage, min(binding.timeout_s, left_s))
        finally:
            current_cause.reset(token)

    def holding_up(self) -> str:
        """Return whose handler of the core's events is being called, or was last."""
        return self._called

    async def _holds(self, binding: HandlerBinding, event: Event, passage: Passage) -> bool:
        if is_quick(binding.when):
            holds: Any = binding.when(event)
            if not holds:
                passage.note(binding, HandlerEnd.CONDITION)
            return bool(holds)
        about, reason = f"condition of {binding.label}", ""
        check = partial(_asked, binding, event)
        asked = await self._foreign.call(about, check, CONDITION_TIMEOUT_S, binding.owner, behalf=_behalf(passage))
        if isinstance(asked, Raised):
            reason = self._mask(f"The condition failed: {asked.sentence}")
            self._report(binding, event, reason, asked)
            if asked.timed_out or isinstance(asked.error, SearchTooLong):
                self._count(binding, late=True)  # it has held up the others as a handler that is late does
        elif asked.value:
            return True
        passage.note(binding, HandlerEnd.CONDITION, reason)
        return False

    async def _call(
        self, binding: HandlerBinding, event: Event, passage: Passage, timeout_s: float
    ) -> Returned[Any] | Raised:
        began = self._clock.monotonic()
        answers = passage.answers and binding.stage is EventStage.HANDLE
        answer: Returned[Any] | Raised
        answer = await self._foreign.call(
            f"event handler {binding.label}",
            partial(_answered, binding, event, answers),
            timeout_s,
            binding.owner,
            behalf=_behalf(passage),
        )
        took_ms = round((self._clock.monotonic() - began) * 1000)
        if isinstance(answer, Raised):
            end = HandlerEnd.TIMED_OUT if answer.timed_out else HandlerEnd.RAISED
            reason = self._mask(answer.sentence)
            passage.note(binding, end, reason, took_ms)
            self._report(binding, event, reason, answer)
            self._count(binding, late=answer.timed_out and timeout_s == binding.timeout_s)
            return answer
        self._count(binding, late=False)
        value = answer.value
        said = getattr(value, "reason", "") if isinstance(value, Reject | Drop | Stop) else ""
        passage.note(binding, _ENDS.get(type(value), HandlerEnd.RAN), self._mask(said), took_ms)
        return answer

    def _count(self, binding: HandlerBinding, *, late: bool) -> None:
        if not late:
            self._late.pop(id(binding), None)
            return
        if len(self._late) >= MOST_LATE:
            self._late = {key: one for key, one in self._late.items() if self._handlers.still(one.binding)}
        lateness = self._late.setdefault(id(binding), _Lateness(binding))
        lateness.in_a_row += 1
        if lateness.in_a_row >= LATE_IN_A_ROW:
            lateness.in_a_row = 0
            lateness.rests_until = self._clock.monotonic() + REST_S
            log.error("an event handler is too slow and rests", plugin=binding.plugin, handler=binding.method)

    def _report(self, binding: HandlerBinding, event: Event, error: str, raised: Raised) -> None:
        log.warning(
            "an event handler did not work",
            plugin=binding.plugin,
            handler=binding.method,
            event_name=event.name,
            error=error,
            where=raised.where,
            raised=raised.error,
        )


def _behalf(passage: Passage) -> Behalf | None:
    """Return whose event it is: of a turn it has the correlation id, and with it the turn's other calls in common."""
    if not passage.principal:
        return None
    return Behalf(principal=passage.principal, turn=passage.event.correlation_id)


async def _asked(binding: HandlerBinding, event: Event) -> bool:
    """Return what a condition says of an event."""
    if runs_in_loop(binding.when):
        return bool(binding.when(event))
    return bool(await invoke(binding.when, event))


async def _answered(binding: HandlerBinding, event: Event, answers: bool) -> Any:
    """Return what a handler says, as its stage allows it; raises TypeError or ActionFailed for anything else."""
    answer_wanted.set(answers or binding.stage is not EventStage.HANDLE)
    value = await invoke(binding.call, event)
    allowed = _ALLOWED[binding.stage]
    if isinstance(value, Reject | Drop | Stop):
        if not isinstance(value, allowed):
            raise TypeError(f"{type(value).__name__} is no answer of a handler in stage {binding.stage}")
        reason = storable(value.reason if isinstance(value.reason, str) else repr(value.reason))
        return type(value)(short(reason))
    if value is None or (binding.stage is EventStage.HANDLE and not answers):
        return None
    if binding.stage is not EventStage.HANDLE and not isinstance(value, dict):
        raise TypeError(f"it answered with a {type(value).__name__} in stage {binding.stage}")
    if not isinstance(value, dict) and not answers:
        return None
    if binding.stage is EventStage.VALIDATE:
        raise TypeError("data is no answer of a handler in stage validate")
    result = await json_result(value, binding.label)
    if isinstance(result, Untrusted):
        result = {"text": result.text} if binding.stage is EventStage.FILTER else result.text
    if binding.stage is EventStage.FILTER:
        check_size(result)
    return result


def check_size(data: Any) -> None:
    """Raise ValueError where an event's data is larger than an event may be."""
    size = len(compact(data).encode())
    if size > MOST_DATA_BYTES:
        raise ValueError(f"the data of an event may have {MOST_DATA_BYTES} bytes, not {size}")
