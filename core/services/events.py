"""The bus: takes events in, puts them to their handlers, and keeps a history of what became of them.

What the core emits goes through a queue that a task of its own works off, so that no handler can slow or break a
turn; what a plugin emits is put to the handlers while it waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
from collections import OrderedDict, defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from core.contracts.core_events import CORE_ONLY
from core.contracts.errors import EventRefused
from core.contracts.events import (
    MOST_DEPTH,
    Answer,
    Drop,
    Event,
    EventEnd,
    EventStage,
    Handled,
    HandlerEnd,
    HandlerRun,
    Reject,
    Stop,
)
from core.contracts.json import Json, JsonObject
from core.contracts.services import Clock
from core.services.event_calls import EventCalls, Passage, check_size
from core.services.event_causes import Cause, as_cause, current_cause
from core.services.event_data import bounded, short
from core.services.event_handlers import EventHandlers, HandlerBinding
from core.services.event_history import EventHistory, EventRecord
from core.services.event_rates import EventRates
from core.services.foreign import ForeignCalls, Raised
from core.services.json_results import json_result
from core.services.mask import Masker

log = structlog.get_logger("rekku.events")

MOST_WAITING = 1000
MOST_REMEMBERED = 1000
REPORT_EVERY = 100
MOST_CONVERTED = 4
"""Data of one component at a time that is made JSON, which takes a thread each."""
CIRCLE = f"{MOST_DEPTH} events stand before it as causes: they run in a circle."
CORE_TIMEOUT_S = 30.0
"""How long an event of the core may take on its way past all its handlers."""

Passed = tuple[EventEnd, str]


class EventBus:
    """The events of one app."""

    def __init__(
        self,
        *,
        declared: Callable[[], Sequence[HandlerBinding]],
        in_use: Callable[[str, str], bool],
        foreign: ForeignCalls,
        clock: Clock,
        masker: Masker,
        keep: Callable[[EventRecord], None] = lambda record: None,
        most_waiting: int = MOST_WAITING,
        rehearsal: bool = False,
    ) -> None:
        """declared, in_use: see `EventHandlers`. keep: see `EventHistory`. most_waiting: events of the core.

        rehearsal: see `EventCalls`.
        """
        self.handlers = EventHandlers(declared, in_use)
        self.history = EventHistory(keep)
        self.lost = 0
        self._calls = EventCalls(self.handlers, foreign, clock, masker.text, rehearsal=rehearsal)
        self._rates = EventRates(clock, foreign)
        self._converting: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MOST_CONVERTED))
        self._clock = clock
        self._masker = masker
        self._waiting: deque[tuple[Event, str, str]] = deque()
        self._most_waiting = most_waiting
        self._first_of: OrderedDict[str, Event] = OrderedDict()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._worker: asyncio.Task[None] | None = None

    def post(self, name: str, data: JsonObject, *, correlation: str = "", after: str = "") -> Event | None:
        """Take in an event of the core; never waits and never raises. None: it was not taken.

        correlation: its correlation id, where no turn and no event is being handled. after: the correlation id of
        what it came of, where that is another one.
        """
        try:
            event, principal, lane = self._made(name, data, "core", correlation, after)
            if event.depth > MOST_DEPTH:
                self._refuse(event, principal, lane, CIRCLE)
                return None
            while len(self._waiting) >= self._most_waiting:
                self._waiting.popleft()
                self.lost += 1
                if self.lost % REPORT_EVERY == 1:
                    log.error(
                        "handlers of events are too slow: the oldest events are lost",
                        lost=self.lost,
                        handler=self._calls.holding_up(),
                    )
            self._waiting.append((event, principal, lane))
            self._idle.clear()
            self._news.set()
        except Exception as error:
            # Whatever is wrong with an event, what it tells of has happened and goes on.
            log.exception("an event could not be told", event_name=name, exc_info=error)
            return None
        return event

    def begin(self, name: str, data: JsonObject, *, correlation: str, after: str) -> None:
        """Take in the event with which a turn begins, and let it be the cause of all that this task emits."""
        current_cause.set(None)
        event = self.post(name, data, correlation=correlation, after=after)
        if event is not None:
            current_cause.set(as_cause(event, str(data["principal"]), str(data["address"])))

    async def emit(self, source: str, name: str, data: JsonObject | None, timeout_s: float) -> Handled:
        """Put an event of a component to its handlers; see `core.contracts.events.Events`."""
        event, principal, lane = await self._foreign_event(source, name, data)
        refused = self._refused(event, principal, lane)
        return refused or await self._emit(event, principal, lane, timeout_s)

    async def request(self, source: str, name: str, data: JsonObject | None, timeout_s: float) -> Json:
        """Return the first answer; see `core.contracts.events.Events`."""
        found: list[Json] = []

        async def ask(passage: Passage, bindings: Sequence[HandlerBinding]) -> Passed:
            for place, binding in enumerate(bindings):
                answer = await self._calls.call(binding, passage)
                if answer is None or isinstance(answer, Raised) or answer.value is None:
                    continue
                if not isinstance(answer.value, Stop):
                    found.append(answer.value)
                why = "It was stopped." if isinstance(answer.value, Stop) else f"{binding.label} has answered."
                _pass_over(passage, bindings[place + 1 :], why)
                return EventEnd.STOPPED if isinstance(answer.value, Stop) else EventEnd.HANDLED, why
            return EventEnd.HANDLED, ""

        await self._asked(source, name, data, timeout_s, ask)
        return found[0] if found else None

    async def gather(self, source: str, name: str, data: JsonObject | None, timeout_s: float) -> list[Answer]:
        """Return all answers and errors; see `core.contracts.events.Events`."""
        found: list[Answer] = []

        async def ask(passage: Passage, bindings: Sequence[HandlerBinding]) -> Passed:
            answers = await asyncio.gather(*(self._calls.call(binding, passage) for binding in bindings))
            for binding, answer in zip(bindings, answers, strict=True):
                if isinstance(answer, Raised):
                    error = self._masker.text(answer.sentence)
                    found.append(Answer(plugin=binding.plugin, handler=binding.method, error=error))
                elif answer is not None and answer.value is not None and not isinstance(answer.value, Stop):
                    found.append(Answer(plugin=binding.plugin, handler=binding.method, value=answer.value))
            return EventEnd.HANDLED, ""

        await self._asked(source, name, data, timeout_s, ask)
        return found

    def start(self) -> None:
        """Begin to put the events of the core to their handlers, those first that wait already."""
        self._worker = asyncio.get_running_loop().create_task(self._work(), name="events")

    async def settled(self) -> None:
        """Wait until every event of the core that was taken in has been put to its handlers."""
        await self._idle.wait()

    async def stop(self, drain_s: float) -> None:
        """Let what waits be handled for `drain_s` seconds; the rest stands in the history as told to nobody."""
        if self._worker is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    await self._idle.wait()
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None
        self.note_waiting()

    def note_waiting(self) -> None:
        """Put what still waits into the history: nobody will be told of it."""
        while self._waiting:
            event, principal, lane = self._waiting.popleft()
            self._record(event, EventEnd.HANDLED, "Rekku was going down: nobody was told.", [], principal, lane)
        self._idle.set()

    async def _work(self) -> None:
        current_cause.set(None)
        while True:
            while self._waiting:
                event, principal, lane = self._waiting.popleft()
                try:
                    await self._emit(event, principal, lane, CORE_TIMEOUT_S)
                except Exception as error:
                    # A mistake of our own: the next events must be told all the same.
                    log.exception("an event could not be put to its handlers", event_name=event.name, exc_info=error)
                await asyncio.sleep(0)  # many events that nobody hears must not hold up the loop
            self._idle.set()
            self._news.clear()
            await self._news.wait()

    async def _emit(self, event: Event, principal: str, lane: str, timeout_s: float) -> Handled:
        async def tell(passage: Passage, bindings: Sequence[HandlerBinding]) -> Passed:
            for place, binding in enumerate(bindings):
                answer = await self._calls.call(binding, passage)
                if answer is not None and not isinstance(answer, Raised) and isinstance(answer.value, Stop):
                    _pass_over(passage, bindings[place + 1 :], f"{binding.label} has stopped the event.")
                    return EventEnd.STOPPED, answer.value.reason
            return EventEnd.HANDLED, ""

        return await self._pass(Passage(event=event, principal=principal, lane=lane, until=_until(timeout_s)), tell)

    async def _asked(
        self,
        source: str,
        name: str,
        data: JsonObject | None,
        timeout_s: float,
        ask: Callable[[Passage, Sequence[HandlerBinding]], Awaitable[Passed]],
    ) -> None:
        event, principal, lane = await self._foreign_event(source, name, data)
        handled = self._refused(event, principal, lane)
        if handled is None:
            passage = Passage(event=event, principal=principal, lane=lane, until=_until(timeout_s), answers=True)
            handled = await self._pass(passage, ask)
        if handled.end in (EventEnd.REJECTED, EventEnd.DROPPED):
            raise EventRefused(f"{name} was {handled.end}: {handled.reason or 'no reason was given'}")

    async def _pass(
        self, passage: Passage, handle: Callable[[Passage, Sequence[HandlerBinding]], Awaitable[Passed]]
    ) -> Handled:
        """Put an event past the stages, and note what became of it however it ends."""
        bindings = self.handlers.of(passage.event.name)
        end, reason = EventEnd.CANCELLED, ""
        try:
            if bindings:
                with self._rates.on_its_way(passage.event.source):
                    end, reason = await self._stages(passage, bindings, handle)
            else:
                end = EventEnd.HANDLED
        finally:
            event, runs = passage.event, passage.runs
            self._record(event, end, short(self._masker.text(reason)), runs, passage.principal, passage.lane)
        return Handled(event=passage.event, end=end, reason=reason, runs=tuple(passage.runs))

    async def _stages(
        self,
        passage: Passage,
        bindings: Sequence[HandlerBinding],
        handle: Callable[[Passage, Sequence[HandlerBinding]], Awaitable[Passed]],
    ) -> Passed:
        for place, binding in enumerate(bindings):
            if binding.stage is EventStage.HANDLE:
                return await handle(passage, bindings[place:])
            answer = await self._calls.call(binding, passage)
            value = None if answer is None or isinstance(answer, Raised) else answer.value
            if isinstance(value, Reject | Drop):
                end = EventEnd.REJECTED if isinstance(value, Reject) else EventEnd.DROPPED
                _pass_over(passage, bindings[place + 1 :], f"{binding.label} has {end} the event.")
                return end, value.reason
            if isinstance(value, dict):
                passage.event = replace(passage.event, data=value)
        return EventEnd.HANDLED, ""

    async def _foreign_event(self, source: str, name: str, data: JsonObject | None) -> tuple[Event, str, str]:
        """Make the event of a component; raises ValueError for a name or data that it cannot have."""
        if name in CORE_ONLY:
            raise ValueError(f"{name} is an event of the core, which nobody else emits")
        await asyncio.sleep(0)  # who emits in a loop must not hold up everybody
        plain: Json = {}
        if data is not None:
            async with self._converting[source]:
                plain = await json_result(data, f"the data of {name}")
        if not isinstance(plain, dict):
            raise ValueError(f"the data of {name} is no JSON object")
        check_size(plain)
        return self._made(name, plain, source, "", "")

    def _made(self, name: str, data: JsonObject, source: str, correlation: str, after: str) -> tuple[Event, str, str]:
        """Return an event with its cause, and whose it is (principal, lane)."""
        cause: Cause | None = current_cause.get()
        if cause is not None and correlation and cause.correlation_id != correlation:
            cause = None  # a task that was begun in one turn goes on for the next ones: that of deliveries does
        if cause is None:
            first = self._first_of.get(after or correlation)
            cause = None if first is None else as_cause(first, "", "")
        else:
            correlation = cause.correlation_id
        event_id = secrets.token_hex(8)
        event = Event(
            name=name,
            data=bounded(data, self._masker) if source == "core" else self._masker.value(data),
            id=event_id,
            cause="" if cause is None else cause.event_id,
            correlation_id=correlation or event_id,
            at_ms=self._clock.now_ms(),
            source=source,
            depth=0 if cause is None else cause.depth + 1,
        )
        if correlation and correlation not in self._first_of:
            self._first_of[correlation] = event
            if len(self._first_of) > MOST_REMEMBERED:
                self._first_of.popitem(last=False)
        whose = [data.get("principal"), data.get("address")]
        known = ("", "") if cause is None else (cause.principal, cause.lane)
        principal, lane = (
            said if isinstance(said, str) and said else kept for said, kept in zip(whose, known, strict=True)
        )
        return event, principal, lane

    def _refused(self, event: Event, principal: str, lane: str) -> Handled | None:
        """Return what is told of an event that a component may not emit now, None where it may."""
        if event.depth > MOST_DEPTH:
            return self._refuse(event, principal, lane, CIRCLE)
        refusal = self._rates.refusal(event.source)
        if refusal is None:
            return None
        if refusal.first:
            return self._refuse(event, principal, lane, refusal.reason)
        return Handled(event=event, end=EventEnd.REJECTED, reason=refusal.reason)

    def _refuse(self, event: Event, principal: str, lane: str, reason: str) -> Handled:
        log.error("an event was refused", event_name=event.name, source=event.source, reason=reason)
        self._record(event, EventEnd.REJECTED, reason, [], principal, lane)
        return Handled(event=event, end=EventEnd.REJECTED, reason=reason)

    def _record(
        self, event: Event, end: EventEnd, reason: str, runs: Sequence[HandlerRun], principal: str, lane: str
    ) -> None:
        if event.source != "core" or any(run.stage is EventStage.FILTER for run in runs):
            event = replace(event, data=bounded(event.data, self._masker))
        self.history.add(
            EventRecord(event=event, end=end, reason=reason, runs=tuple(runs), principal=principal, lane=lane)
        )


def _until(timeout_s: float) -> float:
    if not math.isfinite(timeout_s):
        raise ValueError(f"timeout_s is {timeout_s}: write a number of seconds, as 5.0")
    return asyncio.get_running_loop().time() + timeout_s


def _pass_over(passage: Passage, bindings: Sequence[HandlerBinding], why: str) -> None:
    for binding in bindings:
        passage.note(binding, HandlerEnd.PASSED_OVER, why)
