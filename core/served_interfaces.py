"""The interfaces that this process serves: their start and their stop, and signs of life through them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog

from core.contracts.deliveries import Activity
from core.contracts.errors import RekkuError
from core.contracts.inputs import Accepted, Address, Input
from core.engine_choice import what_is_missing
from core.interface_base import InterfaceBase
from core.registry.components import Component, ComponentState, Registry, Stage
from core.services.foreign import ForeignCalls, Raised
from core.turn.command_menus import tell_commands
from core.turn.end_call import tell_calls
from core.turn.environment import TurnEnvironment

log = structlog.get_logger("rekku.app")

START_S = 60.0
STOP_S = 10.0
ACTIVITY_S = 2.0


class ServedInterfaces:
    """The interfaces of an app that run.

    serve: the names of those to start; None: all that are configured and need nobody at a terminal. handed: objects
    that were given to the app, which are served in any case. gateway: whether this process talks to the platforms;
    where it does not, interfaces are only prepared, for what they render.
    """

    def __init__(
        self,
        registry: Registry,
        foreign: ForeignCalls,
        *,
        serve: Collection[str] | None,
        handed: Collection[object],
        gateway: bool,
    ) -> None:
        self._registry = registry
        self._foreign = foreign
        self._serve = serve
        self._handed = handed
        self._gateway = gateway
        self._running: dict[str, InterfaceBase] = {}

    @property
    def running(self) -> Mapping[str, InterfaceBase]:
        """Those that run, by name."""
        return self._running

    def get(self, name: str) -> InterfaceBase:
        """Return a running interface; raises RekkuError that says why it does not run."""
        if name in self._running:
            return self._running[name]
        component = self._registry.get("interface", name)
        reason = component.reason if component is not None else "it was not found"
        raise RekkuError(f"The interface {name} does not run: {reason or 'it is not to be served'}.")

    async def start(
        self,
        receive: Callable[[Input], Awaitable[Accepted]],
        moved: Callable[[Address, Address], Awaitable[None]],
        env: TurnEnvironment,
    ) -> None:
        """Start those that are to be served; what fails is reported and stops no other."""
        for component in self._registry.components("interface"):
            if component.state is ComponentState.FOUND and self._wanted(component):
                await self._start(component, receive, moved, env)

    def _wanted(self, component: Component) -> bool:
        interface: InterfaceBase = component.instance
        if self._serve is not None:
            return component.name in self._serve or interface in self._handed
        return not interface.attended

    async def _start(
        self,
        component: Component,
        receive: Callable[[Input], Awaitable[Accepted]],
        moved: Callable[[Address, Address], Awaitable[None]],
        env: TurnEnvironment,
    ) -> None:
        interface: InterfaceBase = component.instance
        interface.name = component.name
        missing = what_is_missing(self._registry, component)
        if missing:
            component.reason = component.reason or f"off: {missing}"
            return
        if not self._registry.prepare(component):
            return
        self._running[component.name] = interface
        if not self._gateway:
            return  # not started: it only renders what the gateway sends
        interface.moved = moved
        tell_commands(interface, env)
        tell_calls(interface, env)
        log.info("starting an interface", interface=component.name)
        started = await self._foreign.call(
            f"start of interface {component.name}", lambda: interface.start(receive), START_S
        )
        if isinstance(started, Raised):
            del self._running[component.name]
            self._registry.fail(component, Stage.START, started.error)
            return
        self._registry.activated(component)

    async def stop(self) -> None:
        """Stop them, last started first; nothing here raises."""
        for name, interface in reversed(self._running.items()) if self._gateway else ():
            stopped = await self._foreign.call(f"stop of interface {name}", interface.stop, STOP_S)
            if isinstance(stopped, Raised):
                log.warning("did not stop cleanly", interface=name, error=stopped.sentence)
        self._running.clear()

    async def show(self, activity: Activity) -> None:
        """Show an ephemeral sign of life, where the interface of its address can."""
        interface = self._running.get(activity.address.interface) if self._gateway else None
        if interface is not None and type(interface).activity is not InterfaceBase.activity:
            await self._foreign.call("activity", lambda: interface.activity(activity), ACTIVITY_S)
