"""The events of a plugin in a process of its own: what it emits goes over, and what it hears comes from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.contracts.events import (
    Answer,
    Drop,
    EventCondition,
    EventHandler,
    EventStage,
    Handled,
    Reject,
    Stop,
    Subscription,
    check_event_name,
)
from core.contracts.json import Json, JsonObject
from core.event_conditions import always
from core.isolation.child_functions import ChildFunctions, crossing
from core.isolation.peer import Peer
from core.registry.declared_handlers import binding_of
from core.services.event_handlers import MOST_SUBSCRIPTIONS
from core.services.json_results import json_result
from core.services.sync_or_async import invoke


@dataclass(slots=True, eq=False)
class ChildSubscription:
    """A `Subscription`."""

    _end: Callable[[ChildSubscription], None]
    numbers: list[int] = field(default_factory=list)

    def cancel(self) -> None:
        """Call the handler no more."""
        self._end(self)


@dataclass(frozen=True, slots=True)
class ChildEvents:
    """The plugin's `Events`."""

    plugin: str
    peer: Peer
    functions: ChildFunctions
    subscribed: list[ChildSubscription] = field(default_factory=list)

    async def emit(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 30.0) -> Handled:
        """Tell everybody; see `Events`."""
        handled: Handled = await self._ask("events.emit", name, data, timeout_s)
        return handled

    async def request(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 5.0) -> Json:
        """Return the first answer; see `Events`."""
        return await self._ask("events.request", name, data, timeout_s)

    async def gather(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 5.0) -> list[Answer]:
        """Return all answers; see `Events`."""
        answers: list[Answer] = await self._ask("events.gather", name, data, timeout_s)
        return answers

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
        """Have `handler` called from now on; see `Events`."""
        method = getattr(handler, "__name__", type(handler).__name__)
        when = always if when is None else when
        binding = binding_of(
            self.plugin,
            method,
            handler,
            pattern=pattern,
            when=when,
            stage=stage,
            priority=priority,
            timeout_s=timeout_s,
        )
        if len(self.subscribed) >= MOST_SUBSCRIPTIONS:
            raise ValueError(
                f"{self.plugin} has {MOST_SUBSCRIPTIONS} subscriptions: cancel those that are not needed"
            )

        async def answered(event: Any, wanted: bool) -> Any:
            return await answer_of(binding.stage, await invoke(handler, event), binding.label, wanted)

        number = self.functions.keep(answered, binding.label)
        data, condition = self.functions.keep_condition(when, f"condition of {binding.label}")
        self.peer.tell(
            "subscribe",
            number,
            method,
            [data, condition],
            [binding.pattern, binding.stage.value, binding.priority, binding.timeout_s],
        )
        subscription = ChildSubscription(self._cancel, [number, condition])
        self.subscribed.append(subscription)
        return subscription

    def _cancel(self, subscription: ChildSubscription) -> None:
        if subscription not in self.subscribed:
            return
        self.subscribed.remove(subscription)
        self.peer.tell("unsubscribe", subscription.numbers[0])
        for number in subscription.numbers:
            self.functions.drop(number)

    async def _ask(self, call: str, name: str, data: JsonObject | None, timeout_s: float) -> Any:
        plain = {} if data is None else await json_result(data, f"the data of {name}")
        return await self.peer.call(call, check_event_name(name), plain, timeout_s)


async def answer_of(stage: EventStage, value: Any, label: str, wanted: bool) -> Any:
    """Return what a handler answers, as it can cross. wanted: whether more than a Stop is."""
    if not wanted:
        return value if isinstance(value, Reject | Drop | Stop) else None
    if stage is not EventStage.HANDLE and not isinstance(value, dict):
        return value  # nothing else of it is an answer, so nothing is made one
    return await crossing(value, label)
