"""Single plugins out of use and back while everything else runs: off, on, reloaded, added, removed.

What requires a plugin is stopped before it and comes back with it. One change is made at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.near_names import full_stop
from core.registry.component import Component, ComponentState, Stage
from core.registry.component_files import OldModules
from core.registry.components import Registry
from core.registry.discovery import Found
from core.registry.reasons import reason_of

RUNNING = (ComponentState.ACTIVE, ComponentState.DEGRADED)
"""States in which a plugin that was started has not been given up: it may rest."""


@dataclass(frozen=True, slots=True)
class Switched:
    """ok: whether it is as it was wanted. text: what was done, or why it was not, as a sentence."""

    ok: bool
    text: str


class PluginSwitch:
    """Changes which plugins of a started registry are in use.

    find: looks for the plugins that there are now. renewed: told of the name of each that was loaded anew.
    """

    def __init__(
        self,
        registry: Registry,
        find: Callable[[], list[Found]],
        renewed: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._registry = registry
        self._find = find
        self._renewed = renewed
        self._lock = asyncio.Lock()

    async def off(self, name: str, state: ComponentState, reason: str, *, only: Component | None = None) -> None:
        """Stop a plugin, and before it what requires it; nothing happens when there is none of that name.

        only: nor when this one has been replaced meanwhile.
        """
        async with self._lock:
            component = self._registry.get("plugin", name)
            if component is not None and only in (None, component):
                component.waits_for = ""
                await self._stop_with_dependents(component, state, reason)

    async def on(self, name: str) -> Switched:
        """Load a plugin anew and start it, and then what was stopped with it or could not start without it."""
        async with self._lock:
            component = self._registry.get("plugin", name)
            if component is None:
                return Switched(False, f"There is no plugin {name}.")
            if self._registry.in_use(component):
                return Switched(True, f"{name} is in use already.")
            return await self._renew(component)

    async def reload(self, name: str) -> Switched:
        """Build a plugin from its files as they are now, then let it take the place of the one that runs.

        When it cannot be imported, declared or configured, or does not start, the old one goes on.
        """
        async with self._lock:
            old = self._registry.get("plugin", name)
            if old is None:
                return Switched(False, f"There is no plugin {name}.")
            if old.state in (ComponentState.DISABLED, ComponentState.QUARANTINED):
                return Switched(False, f"{name} is {old.state}: enable it, which loads it anew.")
            return await self._renew(old)

    async def add(self, found: Found) -> Component:
        """Load and start a plugin that was not there before."""
        async with self._lock:
            OldModules(found).set_aside()
            await self._registry.load("plugin", [found])
            component = self._registry.components("plugin")[-1]
            if component.state is ComponentState.FOUND:
                await self._bring_back(component.name)
            return component

    async def remove(self, component: Component) -> None:
        """Stop a plugin whose files are gone, and forget it."""
        async with self._lock:
            await self._stop_with_dependents(component, ComponentState.STOPPED, "its files are gone")
            self._registry.forget(component)

    async def restart(self, component: Component, wrong: Callable[[], Awaitable[str]]) -> BaseException | None:
        """Start a plugin again that was stopped for its health; return why it is still not well."""
        async with self._lock:
            if component.state is not ComponentState.DEGRADED:
                return None
            return await self._registry.start_plugin(component, wrong)

    async def bring_back(self, name: str) -> None:
        """Start what was stopped together with a plugin that is in use again."""
        async with self._lock:
            await self._bring_back(name)

    async def _renew(self, component: Component) -> Switched:
        """Load a plugin anew: in the place of one that runs, also where that is only withheld for a while."""
        running = self._registry.is_started(component) and component.state in RUNNING
        return await (self._swap(component) if running else self._start_anew(component))

    async def _swap(self, old: Component) -> Switched:
        registry, name = self._registry, old.name
        found = await self._found_again(old)
        if found is None:
            return Switched(False, f"{name} goes on as it is: {old.source} is not there any more.")
        modules = OldModules(found)
        modules.set_aside()
        new = await registry.build(found, instead_of=old)
        why = new.reason if new.state is not ComponentState.FOUND else ""
        if old.state not in RUNNING:
            modules.put_back()
            return Switched(False, f"{name} is {old.state}: it came to that while the new one was being loaded.")
        if new.state is ComponentState.DISABLED:
            why = "it is disabled in rekku.toml; `rekku plugins disable` takes it out of use"
        elif not why and new.name != name:
            why = f"it calls itself {new.name} now; that takes a restart"
        elif not why and new.instance is old.instance:
            why = "it was handed over as an object; there is no file to read again"
        if why:
            modules.put_back()
            stage = f" ({new.stage})" if new.stage else ""
            return Switched(False, f"{name} goes on as it was; the new one cannot be used{stage}: {full_stop(why)}")
        await self._stop_with_dependents(old, ComponentState.STOPPED, "it is being reloaded")
        registry.replace(old, new)
        error: BaseException | str | None = self._lacking(new)
        if error is None:
            error = await registry.start_plugin(new)
        if error is None:
            self._renewed(name)
            await self._bring_back(name)
            return Switched(True, f"{name} was reloaded.")
        why = error if isinstance(error, str) else reason_of(error, new.folder)
        modules.put_back()
        registry.replace(new, old)
        again = await registry.start_plugin(old)
        if again is not None:
            registry.fail(old, Stage.START, again)
            return Switched(False, f"{name} runs no more: the new one does not start ({why}), nor the old one again.")
        await self._bring_back(name)
        return Switched(False, f"{name} goes on as it was; the new one does not start: {full_stop(why)}")

    async def _start_anew(self, component: Component) -> Switched:
        registry = self._registry
        found = await self._found_again(component)
        if found is None:
            return Switched(False, f"{component.name} cannot be loaded: {component.source} is not there any more.")
        if component.instance is not None:
            await self._stop_with_dependents(component, ComponentState.STOPPED, "it is being loaded anew")
        OldModules(found).set_aside()
        new = await registry.build(found, instead_of=component)
        registry.replace(component, new)
        self._renewed(new.name)
        if new.state is ComponentState.FOUND:
            await self._bring_back(new.name)
        if registry.in_use(new):
            return Switched(True, f"{new.name} is in use.")
        if new.state is ComponentState.DISABLED:
            return Switched(False, f"{new.name} is disabled in rekku.toml: remove enabled = false there.")
        return Switched(False, f"{new.name} does not work ({new.stage or new.state}): {new.reason}")

    async def _stop_with_dependents(self, component: Component, state: ComponentState, reason: str) -> None:
        for dependent in self._registry.dependents(component.name):
            dependent.waits_for = component.name
            why = f"it requires {component.name}, which is {state} ({reason.rstrip('.')})"
            await self._registry.stop_plugin(dependent, ComponentState.STOPPED, why)
        await self._registry.stop_plugin(component, state, reason)

    async def _bring_back(self, name: str) -> None:
        needing = {name}
        for component in self._registry.components("plugin"):
            if component.state is ComponentState.STOPPED and component.waits_for in needing:
                component.waits_for = ""
                component.state, component.reason = ComponentState.FOUND, ""
        waiting = [
            c
            for c in self._registry.components("plugin")
            if c.state is ComponentState.FAILED and c.stage is Stage.REQUIREMENT and c.found is not None
        ]
        for _ in range(len(waiting)):  # one may need another that needs `name`
            needing |= {c.name for c in waiting if needing & set(c.requires)}
        for component in waiting:
            if component.name in needing and component.found is not None:
                new = await self._registry.build(component.found, instead_of=component)
                self._registry.replace(component, new)
        await self._registry.start_plugins()

    def _lacking(self, component: Component) -> str | None:
        used = {c.name for c in self._registry.components("plugin") if self._registry.in_use(c)}
        missing = next((name for name in component.requires if name not in used), None)
        return None if missing is None else f"it requires {missing}, which is not in use"

    async def _found_again(self, component: Component) -> Found | None:
        """Return how a component is found now; None when its files are gone."""
        there = await asyncio.to_thread(self._find)
        return next((found for found in there if found.source == component.source), None)
