"""The registry: every component that was found, its state, and what the active ones have registered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import structlog

from core.contracts.errors import DeclarationError, RekkuError
from core.contracts.services import Clock, PluginContext
from core.own_thread import in_own_thread
from core.registry.catalogue import CatalogueEntry, Generation
from core.registry.component import OWN, Component, ComponentState, Held, Stage
from core.registry.configuration import ComponentTable
from core.registry.declared_again import declared_again
from core.registry.discovery import Found
from core.registry.loading import Loading
from core.registry.missing_guards import GUARD, may_guard
from core.registry.reasons import reason_of
from core.registry.shared_services import SharedServices
from core.registry.start_order import start_order
from core.registry.starting import invoke_in_thread, start_timeout_s
from core.registry.taken_names import taken_by
from core.services.event_handlers import HandlerBinding
from core.services.foreign import ForeignCalls, Raised, Returned
from core.services.hooks import HookBinding
from core.services.strategies import StrategyBinding

__all__ = ["Component", "ComponentState", "Held", "Registry", "Stage"]

log = structlog.get_logger("rekku.registry")

LOAD_TIMEOUT_S = 30.0
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
STOP_PATIENCE_S = 5.0
"""How long the calls of a plugin that run when it is to stop have to end by themselves."""

STAYS = (ComponentState.QUARANTINED, ComponentState.FAILED, ComponentState.DISABLED)
"""States that a plugin keeps when everything stops."""


class Registry:
    """Loads, starts and stops components; one that is broken is reported and stops no other."""

    def __init__(
        self,
        *,
        foreign: ForeignCalls,
        clock: Clock,
        make_context: Callable[[str, str], PluginContext],
        config_for: Callable[[str, str], ComponentTable],
        services: SharedServices | None = None,
        release_context: Callable[[str, str], Awaitable[None]] | None = None,
        on_change: Callable[[Component], None] | None = None,
        learn_secret: Callable[[str, str], None] = lambda name, value: None,
        held_back: Callable[[str], Held | None] = lambda name: None,
        isolate: Callable[[Found], Callable[[Loading], Awaitable[None]] | None] = lambda found: None,
        load_timeout_s: float = LOAD_TIMEOUT_S,
        start_timeout_s: float = START_TIMEOUT_S,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        """make_context, config_for, release_context: called with kind and name.

        release_context: gives back what a context holds (its background jobs) once its component has stopped or
        failed to start. on_change: told of every new state. learn_secret: told of each secret (name, value) in
        the configuration of a component. held_back: whether a plugin was disabled or quarantined by command, asked
        with its name before it is imported. isolate: returns what loads a component elsewhere, or None. The time-outs
        are seconds for one component.
        """
        self._foreign = foreign
        self._clock = clock
        self._make_context = make_context
        self._config_for = config_for
        self._release_context = release_context
        self._on_change = on_change
        self._learn_secret = learn_secret
        self._held_back = held_back
        self._isolate = isolate
        self._load_timeout_s = load_timeout_s
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self.services = services or SharedServices()
        self._components: list[Component] = []
        self._started: list[Component] = []
        self._generation = Generation()
        self._hooks: tuple[HookBinding, ...] = ()
        self._handlers: tuple[HandlerBinding, ...] = ()
        self._strategies: tuple[StrategyBinding, ...] = ()

    @property
    def generation(self) -> Generation:
        """The current catalogue."""
        return self._generation

    @property
    def hooks(self) -> tuple[HookBinding, ...]:
        """The hooks of the active plugins; the same tuple for as long as nothing changes."""
        return self._hooks

    @property
    def handlers(self) -> tuple[HandlerBinding, ...]:
        """The event handlers that the active plugins declare; the same tuple for as long as nothing changes."""
        return self._handlers

    @property
    def strategies(self) -> tuple[StrategyBinding, ...]:
        """The turn strategies of the active plugins."""
        return self._strategies

    def is_in_use(self, kind: str, name: str) -> bool:
        """Whether what a component does is wanted: of a plugin, whether its actions and hooks can be called."""
        return kind != "plugin" or any(c.name == name for c in self._in_use())

    def components(self, kind: str | None = None) -> list[Component]:
        """Return all components, or those of a kind, in load order."""
        return [c for c in self._components if kind is None or c.kind == kind]

    def get(self, kind: str, name: str) -> Component | None:
        """Return the component of that name; of several, the one that did not fail."""
        named = [c for c in self._components if c.kind == kind and c.name == name]
        return min(named, key=lambda c: c.state is ComponentState.FAILED, default=None)

    async def load(self, kind: str, found: Iterable[Found]) -> None:
        """Load components one after another: afterwards each is found, disabled or failed."""
        for one in found:
            if one.kind != kind:
                raise ValueError(f"{one.name} is of kind {one.kind}, not {kind}")
            await self._load(one)

    async def start_plugins(self) -> None:
        """Start the loaded plugins in the order of what they require; afterwards each is active or failed."""
        plugins = {c.name: c for c in self.components("plugin") if c.state is ComponentState.FOUND}
        there = {c.name for c in self._in_use()}
        absent = {c.name: self._why_absent(c) for c in self.components("plugin") if c.name not in plugins}
        requires = {name: [n for n in c.requires if n not in there] for name, c in plugins.items()}
        planned = start_order(requires, absent)
        for name, reason in planned.failures.items():
            self._fail(plugins[name], Stage.REQUIREMENT, reason)
        for name in planned.order:
            missing = next((n for n in requires[name] if plugins[n] not in self._in_use()), None)
            if missing is not None:
                why = self._why_absent(plugins[missing])
                self._fail(plugins[name], Stage.REQUIREMENT, f"{name} requires {missing}: {why}.")
                continue
            error = await self.start_plugin(plugins[name])
            if error is not None:
                self.fail(plugins[name], Stage.START, error)

    async def start_plugin(
        self, component: Component, wrong: Callable[[], Awaitable[str]] | None = None
    ) -> BaseException | None:
        """Start a loaded or stopped plugin; return what it raised, and then nothing of it is left behind.

        wrong: asked once it has started; says what is wrong with it, "" when it can be used.
        """
        try:
            component.instance.context = self._make_context(component.kind, component.name)
        except Exception as error:  # noqa: BLE001 - a setter of foreign code, or a context that cannot be made
            return error
        self._started.append(component)  # also when it is cancelled half-way, it is stopped with the others
        start = getattr(component.instance, "start", None)
        if start is not None:
            label, longest_s = f"{component.name}.start", start_timeout_s(component.instance, self._start_timeout_s)
            answer = await self._foreign.call(
                label, partial(invoke_in_thread, start, label), longest_s, component.name, counted=False
            )
            if isinstance(answer, Raised):
                await self._release(component)
                self._started.remove(component)
                return answer.error
        if wrong is not None and (reason := await wrong()):
            await self._release(component)
            self._started.remove(component)
            return RuntimeError(reason)
        for entry in component.entries:
            entry.withdrawn = ""
        self._change(component, ComponentState.ACTIVE)
        self._renew()
        return None

    async def stop_plugins(self) -> None:
        """Stop the started plugins, last started first; their actions, hooks and services go first."""
        while self._started:
            component = self._started[-1]
            held = component.state if component.state in STAYS else ComponentState.STOPPED
            await self.stop_plugin(component, held, component.reason)

    async def stop_plugin(self, component: Component, state: ComponentState, reason: str = "") -> None:
        """Take a plugin out of use, stop it if it was started, and note its new state; nothing here raises."""
        self.withhold(component, state, reason)
        if component in self._started:
            self._started.remove(component)
            await self._foreign.end(component.name, STOP_PATIENCE_S)
            await self._release(component)

    def withhold(self, component: Component, state: ComponentState, reason: str) -> None:
        """Take the actions and hooks of a plugin out of use at once; it is not stopped by that."""
        for entry in component.entries:
            entry.withdrawn = (
                f"The plugin {component.name} was taken out of use meanwhile ({reason.rstrip('.') or state.value})."
            )
        if component.state is not ComponentState.FAILED:
            self._change(component, state, reason=reason)
        self._renew()

    def restore(self, component: Component) -> None:
        """Put a plugin back into use that was withheld and has not been stopped."""
        for entry in component.entries:
            entry.withdrawn = ""
        self._change(component, ComponentState.ACTIVE)
        self._renew()

    def set_reason(self, component: Component, reason: str) -> None:
        """Say anew why a component is in its state."""
        self._change(component, component.state, reason=reason)

    def in_use(self, component: Component) -> bool:
        """Whether a plugin is called."""
        return component in self._in_use()

    def is_started(self, component: Component) -> bool:
        """Whether a plugin has been started and not stopped since; it may be withheld all the same."""
        return component in self._started

    def dependents(self, name: str) -> list[Component]:
        """Return the started plugins that require a plugin, directly or not, last started first."""
        needed = {name}
        for component in self._started:  # what is required was started before
            if needed & set(component.requires):
                needed.add(component.name)
        return [c for c in reversed(self._started) if c.name in needed and c.name != name]

    def replace(self, old: Component, new: Component) -> None:
        """Let `new` stand where `old`, which has been stopped, stood."""
        self._components[self._components.index(old)] = new
        if new.state is ComponentState.FAILED:
            self._tell(new)
        elif self._on_change is not None:
            self._on_change(new)

    def forget(self, component: Component) -> None:
        """Keep no record of a component, which has been stopped."""
        self._components.remove(component)

    def prepare(self, component: Component) -> bool:
        """Give a loaded interface or engine its context; its owner starts it. Returns False when that failed."""
        try:
            component.instance.context = self._make_context(component.kind, component.name)
        except Exception as error:  # noqa: BLE001 - a setter of foreign code, or a context that cannot be made
            self.fail(component, Stage.START, error)
            return False
        return True

    def activated(self, component: Component) -> None:
        """Note that an interface or engine runs; its owner started it."""
        self._change(component, ComponentState.ACTIVE)

    def fail(self, component: Component, stage: Stage | str, error: BaseException | str) -> None:
        """Note that a component failed: what it had registered is withdrawn, and it stays out."""
        was_in_use = component in self._in_use()
        if component in self._started:
            self._started.remove(component)
        if was_in_use:
            self._renew()
        if component.kind == "plugin":
            self.services.withdraw(component.name)
        self._fail(component, Stage(stage), error if isinstance(error, str) else reason_of(error, component.folder))

    async def redeclare(self, name: str) -> None:
        """Read the actions of a plugin again. Raises DeclarationError, and then changes nothing."""
        component = self.get("plugin", name)
        if component is None or component.instance is None:
            raise DeclarationError(f"{name} is no plugin that works.")
        instance = component.instance
        entries = await declared_again(self._foreign, component, self._load_timeout_s)
        if taken := self._taken(component, entries, component.strategies):
            raise DeclarationError(taken)
        if component.instance is instance:
            component.entries = entries
            self._renew()

    async def _load(self, found: Found) -> None:
        component = await self.build(found)
        self._components.append(component)
        if component.state is not ComponentState.FOUND:
            self._tell(component)

    async def build(self, found: Found, *, instead_of: Component | None = None) -> Component:
        """Return the record of a component that was loaded, and is none of the registry's yet.

        It is found, disabled, quarantined or failed. instead_of: whose name, actions and commands it may have.
        """
        component = Component(kind=found.kind, name=found.name, source=found.source, folder=found.folder, found=found)
        component.since_ms = self._clock.now_ms()
        if self._stays_out(component):
            component.guards = component.state is ComponentState.QUARANTINED and may_guard(found)
            return component
        loading = Loading(found=found, config_for=self._config_for)
        label = f"loading {found.name}"
        answer: Returned[None] | Raised
        elsewhere = self._isolate(found)
        load = partial(in_own_thread, loading.run, label) if elsewhere is None else partial(elsewhere, loading)
        answer = await self._foreign.call(label, load, self._load_timeout_s)
        component.name = loading.name or found.name
        if isinstance(answer, Raised):
            error = answer.error
            own_fault = isinstance(error, RekkuError) and error.code == "declaration"
            stage = Stage.DECLARATION if own_fault else Stage(loading.stage)
            component.failed(stage, reason_of(error, found.folder))
            return component
        if self._stays_out(component):
            return component
        component.groups = loading.groups
        if taken := self._taken(component, loading.entries, loading.strategies, instead_of):
            component.failed(Stage.DECLARATION, taken)
            return component
        component.instance, component.config = loading.instance, loading.config
        for name, value in loading.secrets:
            self._learn_secret(name, value)
        component.requires, component.handlers = loading.requires, loading.handlers
        component.entries, component.hooks, component.strategies = loading.entries, loading.hooks, loading.strategies
        component.guards = any(hook.hook == GUARD for hook in loading.hooks)
        return component

    def _stays_out(self, component: Component) -> bool:
        """Whether a component is left out by the settings or by command; its state says so then."""
        held = self._held_back(component.name) if component.kind == "plugin" and component.source != OWN else None
        if not self._config_for(component.kind, component.name).enabled:
            component.state = ComponentState.DISABLED
        elif held is not None:
            component.state, component.reason = held.state, held.reason
        return component.state is not ComponentState.FOUND

    def _taken(
        self,
        component: Component,
        entries: list[CatalogueEntry],
        strategies: list[StrategyBinding],
        instead_of: Component | None = None,
    ) -> str:
        """Return why a component cannot stand beside those that were loaded before, or ""."""
        itself = (component, instead_of)
        loaded = [c for c in self.components(component.kind) if c.instance is not None and c not in itself]
        others = [c for c in loaded if c.state not in STAYS]
        return taken_by(component, entries, strategies, others)

    async def _release(self, component: Component) -> None:
        """Call `stop`, then take back what the component still holds; nothing here raises."""
        stop = getattr(component.instance, "stop", None)
        label = f"{component.name}.stop"
        calls: list[tuple[str, Callable[[], Awaitable[Any]]]] = []
        if stop is not None:
            calls.append((label, partial(invoke_in_thread, stop, label)))
        if self._release_context is not None:
            calls.append(
                (f"releasing {component.name}", partial(self._release_context, component.kind, component.name))
            )
        for what, call in calls:
            answer = await self._foreign.call(what, call, self._stop_timeout_s, component.name, counted=False)
            if not isinstance(answer, Returned):
                log.warning("did not stop cleanly", plugin=component.name, error=answer.sentence)
        self.services.withdraw(component.name)

    def _renew(self) -> None:
        """Publish what the plugins that are in use have registered, in load order."""
        active = self._in_use()
        self._hooks = tuple(hook for c in active for hook in c.hooks)
        self._handlers = tuple(handler for c in active for handler in c.handlers)
        self._strategies = tuple(one for c in active for one in c.strategies)
        self._generation = Generation(self._generation.number + 1, (entry for c in active for entry in c.entries))

    def _in_use(self) -> list[Component]:
        """Return the plugins whose actions and hooks can be called, in load order."""
        return [c for c in self._components if c in self._started and c.state is ComponentState.ACTIVE]

    def _why_absent(self, component: Component) -> str:
        state = "not started" if component.state is ComponentState.FOUND else component.state.value
        return f"{state} ({component.reason.rstrip('.')})" if component.reason else state

    def _fail(self, component: Component, stage: Stage, reason: str) -> None:
        component.failed(stage, reason)
        component.since_ms = self._clock.now_ms()
        self._tell(component)

    def _tell(self, component: Component) -> None:
        if self._on_change is not None:
            self._on_change(component)
        if component.state is ComponentState.FAILED:
            about = {"kind": component.kind, "component": component.name, "stage": component.stage}
            log.error("a component does not work", **about, reason=component.reason)

    def _change(self, component: Component, state: ComponentState, *, reason: str = "") -> None:
        component.state, component.reason, component.since_ms = state, reason, self._clock.now_ms()
        if self._on_change is not None:
            self._on_change(component)
