"""Which plugins run in processes of their own, and the way from what was found to their stand-ins."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import structlog

from core.contracts.errors import DeclarationError, RekkuError
from core.contracts.json import JsonObject
from core.contracts.services import Clock
from core.isolation.source import isolation_in
from core.registry.catalogue import build_entries
from core.registry.component import OWN, Component, ComponentState
from core.registry.components import Registry
from core.registry.declared_handlers import binding_of, configured_handlers
from core.registry.discovery import Found
from core.registry.loading import Loading, placed
from core.services.hooks import HookBinding
from core.services.strategies import StrategyBinding
from core.settings import ComponentTable

if TYPE_CHECKING:
    from core.isolation.standin import IsolatedPlugin

log = structlog.get_logger("rekku.isolation")

PROCESS = "process"


class LoadFailed(RekkuError):
    """The plugin's process could not load it; the sentence is the whole reason."""


class IsolationHost:
    """The isolated plugins of one app."""

    def __init__(
        self,
        *,
        clock: Clock,
        config_for: Callable[[str, str], ComponentTable],
        registry: Callable[[], Registry],
        quarantine: Callable[[str, str], None],
    ) -> None:
        """config_for: the table of a component, by kind and name. registry: the one that they are loaded into.

        quarantine: begins to put a plugin, by its name and for a reason, out of use.
        """
        self._clock = clock
        self._config_for = config_for
        self._registry = registry
        self._quarantine = quarantine
        self._plugins: list[IsolatedPlugin] = []

    def isolate(self, found: Found) -> Callable[[Loading], Awaitable[None]] | None:
        """Return what loads a plugin in a process of its own; None where it is to run inside.

        The operator's word counts, then that of the plugin's source, which is read and not run.
        """
        if found.kind != "plugin" or found.source == OWN:
            return None
        chosen = self._config_for("plugin", found.name).isolation
        path = _source_of(found)
        if chosen is None and path is not None:
            chosen = isolation_in(path)
        if chosen is None and found.given is not None and not isinstance(found.given, ModuleType):
            chosen = str(getattr(found.given, "isolation", ""))
        return self._load if chosen == PROCESS else None

    async def close(self) -> None:
        """End the processes of those that were loaded and never started, or could not be stopped."""
        for plugin in self._plugins:
            await plugin.stop()
        self._plugins.clear()

    async def _load(self, loading: Loading) -> None:
        found = loading.found
        if found.reference is None:
            raise DeclarationError(
                f"{found.name} cannot run in a process of its own: it was handed over as an object.",
                cure="Hand over its class or module, which can be imported by name.",
            )
        # Most have no such plugin, and every start would pay for it in time and memory.
        from core.isolation.limits import DEFAULT_CPU_S, DEFAULT_MEMORY_MB, Limits
        from core.isolation.standin import IsolatedPlugin

        table = self._config_for("plugin", found.name)
        limits = Limits(
            memory_mb=table.process_memory_mb or DEFAULT_MEMORY_MB, cpu_s=table.process_cpu_s or DEFAULT_CPU_S
        )
        plugin = IsolatedPlugin(
            found.name,
            {
                "name": found.name,
                "source": found.source,
                "reference": list(found.reference),
                "folder": "" if found.folder is None else str(found.folder),
                "sys_path": [entry for entry in sys.path if entry],
            },
            limits,
            clock=self._clock,
            config=lambda name: self._config(found, name),
            works=self._told,
            quarantine=self._quarantined,
        )
        self._plugins = [*(one for one in self._plugins if one.alive), plugin]
        try:
            answer = await plugin.load()
            self._fill(loading, plugin, answer)
        except BaseException:
            self._plugins.remove(plugin)
            await plugin.stop()
            raise

    def _fill(self, loading: Loading, plugin: IsolatedPlugin, answer: JsonObject) -> None:
        if "failed" in answer:
            stage, reason, own_fault, *name = answer["failed"]
            loading.stage = "declaration" if own_fault else str(stage)
            loading.name = str(name[0]) if name else ""
            raise LoadFailed(str(reason))
        loading.name = plugin.name = loading.checked_name(answer.get("name"))
        loading.enabled = answer.get("enabled") is True
        if not loading.enabled:
            return
        loading.stage = "declaration"
        declared, table = plugin.declared, self._config_for("plugin", loading.name)
        loading.instance = plugin
        loading.requires = declared.requires
        loading.secrets = declared.secrets
        loading.entries = build_entries(loading.name, plugin)
        loading.hooks = placed(
            [
                HookBinding(
                    hook=one.hook,
                    plugin=loading.name,
                    method=one.method,
                    call=plugin.hook(index),
                    priority=one.priority,
                    position=index,
                    injects=one.injects,
                )
                for index, one in enumerate(declared.hooks)
            ],
            table,
        )
        loading.strategies = [
            StrategyBinding(
                name=one.name,
                plugin=loading.name,
                method=one.method,
                call=plugin.strategy(index),
                timeout_s=one.timeout_s,
            )
            for index, one in enumerate(declared.strategies)
        ]
        handlers = [
            binding_of(
                loading.name,
                one.method,
                plugin.handler(index),
                pattern=one.pattern,
                when=plugin.condition(index) if one.when is None else one.when,
                stage=one.stage,
                priority=one.priority,
                timeout_s=one.timeout_s,
                position=index,
            )
            for index, one in enumerate(declared.handlers)
        ]
        loading.stage = "configuration"
        loading.handlers = configured_handlers(loading.name, handlers, table.events, table.priority)

    def _config(self, found: Found, name: str) -> tuple[JsonObject, str, bool, int | None]:
        """Return what the process may know of the configuration: the plugin's own table, nobody else's.

        What name the plugin has registered is what the process says, so another table has to be meant for it.
        """
        table = self._config_for("plugin", name)
        if name != found.name and table.values and table.isolation != PROCESS:
            error = f'[plugins.{name}]: write isolation = "process" there too, if it is for the plugin {found.name}.'
            return {}, error, table.enabled, None
        return dict(table.values), table.error, table.enabled, table.priority

    def _component(self, plugin: IsolatedPlugin) -> Component | None:
        return next((c for c in self._registry().components("plugin") if c.instance is plugin), None)

    def _told(self, plugin: IsolatedPlugin, reason: str) -> None:
        component = self._component(plugin)
        if component is None:
            return
        if reason and component.state is ComponentState.ACTIVE:
            log.warning("a plugin's process ended", plugin=plugin.name, reason=reason)
            self._registry().withhold(component, ComponentState.DEGRADED, reason)
        elif reason and component.state is ComponentState.DEGRADED:
            self._registry().set_reason(component, reason)
        elif not reason and component.state is ComponentState.DEGRADED:
            self._registry().restore(component)

    def _quarantined(self, plugin: IsolatedPlugin, reason: str) -> None:
        component = self._component(plugin)
        if component is not None:
            self._quarantine(component.name, reason)


def _source_of(found: Found) -> Path | None:
    """Return the file or folder of a plugin that was found, without importing it."""
    if isinstance(found.given, ModuleType):
        return Path(file) if (file := getattr(found.given, "__file__", None)) else None
    if found.reference is None:
        return None
    kind, value = found.reference
    if kind == "file":
        return Path(value)
    if kind == "module" and found.folder is not None:
        path = Path(found.source)
        return path if path.exists() else None
    try:
        top = value.partition(":")[0]
        spec = importlib.util.find_spec(top) if kind == "entry" else None
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None
