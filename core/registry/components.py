"""The registry: every component that was found, its state, and what the active ones have registered."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import structlog

from core.contracts.errors import DeclarationError, RekkuError
from core.contracts.services import Clock, PluginContext
from core.own_thread import in_own_thread
from core.registry.catalogue import CatalogueEntry, Generation, build_entries
from core.registry.component import Component, ComponentState, Stage
from core.registry.configuration import ComponentTable
from core.registry.discovery import Found
from core.registry.loading import Loading
from core.registry.reasons import reason_of
from core.registry.shared_services import SharedServices
from core.registry.start_order import start_order
from core.services.foreign import ForeignCalls, Raised, Returned
from core.services.hooks import HookBinding
from core.services.sync_or_async import invoke

__all__ = ["Component", "ComponentState", "Registry", "Stage"]

log = structlog.get_logger("rekku.registry")

LOAD_TIMEOUT_S = 30.0
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


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
        isolate: Callable[[Found], Callable[[Loading], Awaitable[None]] | None] = lambda found: None,
        load_timeout_s: float = LOAD_TIMEOUT_S,
        start_timeout_s: float = START_TIMEOUT_S,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        """make_context, config_for, release_context: called with kind and name.

        release_context: gives back what a context holds (its background jobs) once its component has stopped or
        failed to start. on_change: told of every new state. learn_secret: told of each secret (name, value) in
        the configuration of a component. isolate: returns what loads a component elsewhere than here, or
        None. The time-outs are seconds for one component.
        """
        self._foreign = foreign
        self._clock = clock
        self._make_context = make_context
        self._config_for = config_for
        self._release_context = release_context
        self._on_change = on_change
        self._learn_secret = learn_secret
        self._isolate = isolate
        self._load_timeout_s = load_timeout_s
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self.services = services or SharedServices()
        self._components: list[Component] = []
        self._started: list[Component] = []
        self._generation = Generation()
        self._hooks: tuple[HookBinding, ...] = ()

    @property
    def generation(self) -> Generation:
        """The current catalogue."""
        return self._generation

    @property
    def hooks(self) -> tuple[HookBinding, ...]:
        """The hooks of the active plugins; the same tuple for as long as nothing changes."""
        return self._hooks

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
            await self._start(plugins[name])

    async def stop_plugins(self) -> None:
        """Stop the started plugins, last started first; their actions, hooks and services go first."""
        while self._started:
            component = self._started.pop()
            self._renew()
            await self._release(component)
            if component.state is not ComponentState.FAILED:
                self._change(component, ComponentState.STOPPED)

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

    def quarantine(self, component: Component, reason: str) -> None:
        """Take the actions and hooks of an active plugin out of use; it is stopped with the others."""
        self._change(component, ComponentState.QUARANTINED, reason=reason)
        self._renew()

    def degrade(self, component: Component, reason: str) -> None:
        """Note that an active component works only in part; "" when it works again."""
        self._change(component, ComponentState.DEGRADED if reason else ComponentState.ACTIVE, reason=reason)

    async def redeclare(self, name: str) -> None:
        """Read the actions of a plugin again. Raises DeclarationError, and then changes nothing."""
        component = self.get("plugin", name)
        if component is None or component.instance is None:
            raise DeclarationError(f"{name} is no plugin that works.")
        label, instance = f"declarations of {name}", component.instance
        answer = await self._foreign.call(
            label, lambda: in_own_thread(partial(build_entries, name, instance), label), self._load_timeout_s
        )
        if isinstance(answer, Raised):
            if isinstance(answer.error, DeclarationError):
                raise answer.error
            raise DeclarationError(f"{name}: {reason_of(answer.error, component.folder)}") from answer.error
        if taken := self._taken(component, answer.value):
            raise DeclarationError(taken)
        if component.instance is instance:
            component.entries = answer.value
            self._renew()

    async def _load(self, found: Found) -> None:
        component = Component(kind=found.kind, name=found.name, source=found.source, folder=found.folder)
        component.since_ms = self._clock.now_ms()
        self._components.append(component)
        if not self._config_for(found.kind, found.name).enabled:
            self._change(component, ComponentState.DISABLED)
            return
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
            self._fail(component, stage, reason_of(error, found.folder))
            return
        if not loading.enabled:
            self._change(component, ComponentState.DISABLED)
            return
        taken = self._taken(component, loading.entries)
        if taken:
            self._fail(component, Stage.DECLARATION, taken)
            return
        component.instance, component.config = loading.instance, loading.config
        for name, value in loading.secrets:
            self._learn_secret(name, value)
        component.requires = loading.requires
        component.entries, component.hooks = loading.entries, loading.hooks

    def _taken(self, component: Component, entries: list[CatalogueEntry]) -> str:
        """Return why a component cannot stand beside those that were loaded before, or ""."""
        specs = [entry.spec for entry in entries]
        others = [c for c in self.components(component.kind) if c is not component and c.instance is not None]
        for other in others:
            if other.name == component.name:
                return f"There is a {component.kind} {other.name} already ({other.source}). Rename or disable one."
            for theirs in (entry.spec for entry in other.entries):
                for spec in specs:
                    if spec.type == theirs.type:
                        return f"{component.name}.{spec.type}: the plugin {other.name} has an action of that name."
                    if spec.command and spec.command == theirs.command:
                        return (
                            f"{component.name}.{spec.type}: /{spec.command} is a command of the plugin {other.name}."
                        )
        commands = [spec.command for spec in specs if spec.command]
        twice = next((command for command in commands if commands.count(command) > 1), "")
        return f"{component.name}: two of its actions have the command /{twice}." if twice else ""

    async def _start(self, component: Component) -> None:
        if not self.prepare(component):
            return
        self._started.append(component)  # also when it is cancelled half-way, it is stopped with the others
        start = getattr(component.instance, "start", None)
        if start is not None:
            label = f"{component.name}.start"
            answer = await self._foreign.call(label, partial(_invoke, start, label), self._start_timeout_s)
            if isinstance(answer, Raised):
                await self._release(component)
                self.fail(component, Stage.START, answer.error)
                return
        self._change(component, ComponentState.ACTIVE)
        self._renew()

    async def _release(self, component: Component) -> None:
        """Call `stop`, then take back what the component still holds; nothing here raises."""
        stop = getattr(component.instance, "stop", None)
        label = f"{component.name}.stop"
        calls: list[tuple[str, Callable[[], Awaitable[Any]]]] = []
        if stop is not None:
            calls.append((label, partial(_invoke, stop, label)))
        if self._release_context is not None:
            calls.append(
                (f"releasing {component.name}", partial(self._release_context, component.kind, component.name))
            )
        for what, call in calls:
            answer = await self._foreign.call(what, call, self._stop_timeout_s)
            if not isinstance(answer, Returned):
                log.warning("did not stop cleanly", plugin=component.name, error=answer.sentence)
        self.services.withdraw(component.name)

    def _renew(self) -> None:
        """Publish what the plugins that are in use have registered, in load order."""
        active = self._in_use()
        self._hooks = tuple(hook for c in active for hook in c.hooks)
        self._generation = Generation(self._generation.number + 1, (entry for c in active for entry in c.entries))

    def _in_use(self) -> list[Component]:
        """Return the plugins whose actions and hooks can be called, in load order."""
        used = (ComponentState.ACTIVE, ComponentState.DEGRADED)
        return [c for c in self._components if c in self._started and c.state in used]

    def _why_absent(self, component: Component) -> str:
        state = "not started" if component.state is ComponentState.FOUND else component.state.value
        return f"{state} ({component.reason.rstrip('.')})" if component.reason else state

    def _fail(self, component: Component, stage: Stage, reason: str) -> None:
        component.stage = stage
        component.instance = component.config = None
        component.entries, component.hooks = [], []
        self._change(component, ComponentState.FAILED, reason=reason)
        log.error(
            "a component does not work", kind=component.kind, component=component.name, stage=stage, reason=reason
        )

    def _change(self, component: Component, state: ComponentState, *, reason: str = "") -> None:
        component.state, component.reason, component.since_ms = state, reason, self._clock.now_ms()
        if self._on_change is not None:
            self._on_change(component)


async def _invoke(function: Callable[..., Any], label: str) -> Any:
    """Call start or stop; a synchronous one gets a thread that can be given up."""
    if inspect.iscoroutinefunction(function):
        return await invoke(function)
    result = await in_own_thread(function, label)
    return await result if inspect.isawaitable(result) else result
