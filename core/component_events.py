"""The events of one component: what it emits is its own, and what it subscribed goes with it."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts.events import Answer, EventCondition, EventHandler, Handled, Subscription
from core.contracts.json import Json, JsonObject
from core.event_conditions import always
from core.registry.declared_handlers import binding_of
from core.services.events import EventBus


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentEvents:
    """An `Events`."""

    kind: str
    name: str
    bus: EventBus

    async def emit(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 30.0) -> Handled:
        """Tell everybody; see `Events`."""
        return await self.bus.emit(self.name, name, data, timeout_s)

    async def request(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 5.0) -> Json:
        """Return the first answer; see `Events`."""
        return await self.bus.request(self.name, name, data, timeout_s)

    async def gather(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 5.0) -> list[Answer]:
        """Return all answers; see `Events`."""
        return await self.bus.gather(self.name, name, data, timeout_s)

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
        binding = binding_of(
            self.name,
            getattr(handler, "__name__", type(handler).__name__),
            handler,
            pattern=pattern,
            when=always if when is None else when,
            stage=stage,
            priority=priority,
            timeout_s=timeout_s,
            kind=self.kind,
        )
        return self.bus.handlers.subscribe(binding)
