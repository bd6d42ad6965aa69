"""Who is to be told of which event: the handlers that plugins declare, and those subscribed while they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.contracts.events import EventCondition, EventStage
from core.event_conditions import always
from core.event_patterns import matches

HANDLER_TIMEOUT_S = 5.0
MOST_CACHED_NAMES = 1000
MOST_SUBSCRIPTIONS = 1000
"""Of one plugin at a time: more is a leak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerBinding:
    """One handler of one plugin. `position`: its place among the plugin's, counted from 0."""

    pattern: str
    plugin: str
    method: str
    call: Callable[..., Any] = field(repr=False)
    kind: str = "plugin"
    when: EventCondition = always
    stage: EventStage = EventStage.HANDLE
    priority: int = 100
    position: int = 0
    timeout_s: float = HANDLER_TIMEOUT_S

    @property
    def owner(self) -> str:
        """The plugin whose code it is, "" where that is an interface's or an engine's."""
        return self.plugin if self.kind == "plugin" else ""

    @property
    def label(self) -> str:
        """What logs and reasons call it."""
        return f"{self.plugin}.{self.method}"


@dataclass(slots=True, eq=False)
class Subscribed:
    """A `Subscription`."""

    binding: HandlerBinding
    _end: Callable[[Subscribed], None]

    def cancel(self) -> None:
        """Call the handler no more."""
        self._end(self)


class EventHandlers:
    """All handlers, found by the name of an event in the order (stage, priority, plugin, position)."""

    def __init__(self, declared: Callable[[], Sequence[HandlerBinding]], in_use: Callable[[str, str], bool]) -> None:
        """declared: those of the plugins in use, the same object for as long as they are the same.

        in_use: whether a component, by kind and name, is.
        """
        self._declared = declared
        self._in_use = in_use
        self._subscribed: dict[tuple[str, str], list[Subscribed]] = {}
        self._seen: Sequence[HandlerBinding] = ()
        self._by_name: dict[str, tuple[HandlerBinding, ...]] = {}

    def subscribe(self, binding: HandlerBinding) -> Subscribed:
        """Add a handler; raises ValueError when its plugin has too many."""
        own = self._subscribed.setdefault((binding.kind, binding.plugin), [])
        if len(own) >= MOST_SUBSCRIPTIONS:
            raise ValueError(f"{binding.plugin} has {len(own)} subscriptions: cancel those that are not needed")
        subscribed = Subscribed(binding, self._cancel)
        own.append(subscribed)
        self._by_name.clear()
        return subscribed

    def withdraw(self, kind: str, name: str) -> None:
        """End all subscriptions of a component."""
        if self._subscribed.pop((kind, name), None):
            self._by_name.clear()

    def of(self, name: str) -> tuple[HandlerBinding, ...]:
        """Return the handlers of an event; whether a subscriber is in use is asked when its turn comes."""
        declared = self._declared()
        if declared is not self._seen:
            self._seen = declared
            self._by_name.clear()
        found = self._by_name.get(name)
        if found is None:
            if len(self._by_name) >= MOST_CACHED_NAMES:
                self._by_name.clear()
            subscribed = [one.binding for own in self._subscribed.values() for one in own]
            order = list(EventStage)
            found = self._by_name[name] = tuple(
                sorted(
                    (one for one in (*declared, *subscribed) if matches(one.pattern, name)),
                    key=lambda b: (order.index(b.stage), b.priority, b.plugin, b.position),
                )
            )
        return found

    def still(self, binding: HandlerBinding) -> bool:
        """Whether a handler that was found is to be called even now: its plugin may have stopped meanwhile."""
        if not self._in_use(binding.kind, binding.plugin):
            return False
        own = self._subscribed.get((binding.kind, binding.plugin), ())
        return any(one is binding for one in self._declared()) or any(one.binding is binding for one in own)

    def _cancel(self, subscribed: Subscribed) -> None:
        binding = subscribed.binding
        own = self._subscribed.get((binding.kind, binding.plugin), [])
        if subscribed in own:
            own.remove(subscribed)
            self._by_name.clear()
