"""The events of one component: what it emits is its own, and what it subscribed goes with it."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts.errors import RekkuError
from core.contracts.events import Answer, EventCondition, EventHandler, Handled, Subscription
from core.contracts.json import Json, JsonObject
from core.event_conditions import always
from core.registry.declared_handlers import binding_of
from core.services.events import EventBus


@dataclass(slots=True, kw_only=True)
class ComponentEvents:
    """An `Events`. closed: the component has stopped; what still runs of it tells and hears nothing more."""

    kind: str
    name: str
    bus: EventBus
    closed: bool = False

    async def emit(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 30.0) -> Handled:
        """Tell everybody; see `Events`."""
        self._may_tell()
        return await self.bus.emit(self.name, name, data, timeout_s)

    async def request(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 5.0) -> Json:
        """Return the first answer; see `Events`."""
        self._may_tell()
        return await self.bus.request(self.name, name, data, timeout_s)

    async def gather(self, name: str, data: JsonObject | None = None, *, timeout_s: float = 5.0) -> list[Answer]:
        """Return all answers; see `Events`."""
        self._may_tell()
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
        self._may_tell()
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

    def close(self) -> None:
        """Tell and hear of nothing any more."""
        self.closed = True
        self.bus.handlers.withdraw(self.kind, self.name)

    def _may_tell(self) -> None:
        if self.closed:
            raise RekkuError(f"{self.name} has been stopped: it tells and hears of no events any more.")
