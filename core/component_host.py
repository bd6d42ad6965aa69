"""What components are given while they live, made as they start and taken back as they stop."""

from __future__ import annotations

from collections.abc import Callable

from core.component_context import ComponentContext
from core.contracts.services import Clock, Database, PluginContext
from core.near_names import suggestion
from core.registry.component import Component, ComponentState
from core.registry.components import Registry
from core.registry.shared_services import SharedServices
from core.services.events import EventBus
from core.services.foreign import ForeignCalls
from core.services.owned_database import OwnedDatabase
from core.services.periodic import PeriodicJobs, jobs_of
from core.services.plugin_checks import PluginChecks
from core.services.schedule import StoredSchedule
from core.services.slots import Slots
from core.settings import Settings
from core.turn.environment import TurnEnvironment
from core.turn.rehearse import Rehearsal


class ComponentHost:
    """The contexts of the components of one app, and the periodic jobs of its plugins."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        database: Database,
        schedule: StoredSchedule,
        foreign: ForeignCalls,
        bus: EventBus,
        rehearsal: Rehearsal | None,
        registry: Callable[[], Registry],
        env: Callable[[], TurnEnvironment],
    ) -> None:
        """registry: that of the app, which is built later. env: what turns work with, once the app has started.

        rehearsal: see `App`.
        """
        self._home = settings.home
        self._timezone = settings.timezone
        self._clock = clock
        self._database = database
        self._foreign = foreign
        self._schedule = schedule
        self._bus = bus
        self._rehearsal = rehearsal
        self._registry = registry
        self._env = env
        self._contexts: dict[tuple[str, str], ComponentContext] = {}
        self.services = SharedServices()
        self.slots = Slots(suggestion, lambda kind, name: registry().is_in_use(kind, name))
        self.checks = PluginChecks(self.slots, foreign, clock)
        self.periodic = PeriodicJobs(foreign, settings.timezone)

    def make_context(self, kind: str, name: str) -> PluginContext:
        """Return what a component is handed as `self.context`."""
        context = ComponentContext(
            kind=kind,
            name=name,
            home=self._home,
            timezone=self._timezone,
            clock=self._clock,
            database=OwnedDatabase(self._database, self._foreign, name) if kind == "plugin" else self._database,
            schedule=self._schedule,
            bus=self._bus,
            redeclare=self._registry().redeclare,
            env=self._env,
            foreign=self._foreign,
            slots=self.slots,
            shared_services=self.services,
            left_out=self._rehearsal.left_out if self._rehearsal is not None and kind == "plugin" else None,
        )
        self._contexts[kind, name] = context
        return context

    async def release_context(self, kind: str, name: str) -> None:
        """Take back what the context of a component still holds."""
        context = self._contexts.pop((kind, name), None)
        if context is not None:
            await context.release()

    async def release_all(self) -> None:
        """Take back what is still held by anyone."""
        for kind, name in list(self._contexts):
            await self.release_context(kind, name)
        self.checks.close()

    def component_changed(self, component: Component) -> None:
        """Tell of it, and plan the periodic jobs of a plugin that is active, and those of no other."""
        self._bus.post(
            "plugin.state_changed",
            {
                "kind": component.kind,
                "name": component.name,
                "state": component.state.value,
                "reason": component.reason,
                "stage": component.stage.value if component.stage else "",
            },
        )
        if component.kind == "plugin":
            active = component.state is ComponentState.ACTIVE and self._rehearsal is None
            self.periodic.add(component.name, jobs_of(component.instance) if active else [])
