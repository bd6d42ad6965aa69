"""Loads one component: import, construct, read its configuration, its declarations and its hooks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import structlog
from pydantic import BaseModel

from core.contracts.errors import DeclarationError
from core.contracts.hooks import HOOKS
from core.contracts.slots import CommandGroup
from core.core_initializer import current_scope
from core.declarations import HookMark, StrategyMark, marked_methods, named
from core.engine_base import EngineBase
from core.interface_base import InterfaceBase
from core.near_names import suggestion
from core.registry.catalogue import CatalogueEntry, build_entries
from core.registry.configuration import ComponentTable, read_config, secrets_of
from core.registry.declared_groups import declared_groups
from core.registry.declared_handlers import configured_handlers, declared_handlers
from core.registry.declared_hooks import check_hook
from core.registry.discovery import EXPORT, PACKAGES, Found
from core.services.event_handlers import HandlerBinding
from core.services.hooks import COLLECTS, HookBinding
from core.services.strategies import StrategyBinding

log = structlog.get_logger("rekku.registry")

STATIC_INJECTION = "get_static_injection"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
ISOLATIONS = ("process", "none")
_BASES = {"interface": InterfaceBase, "engine": EngineBase}


class Scope:
    """Collects what a component registers while it is being constructed."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._open = True
        self._registered: list[tuple[str, object | None]] = []

    def register(self, kind: str, name: str, instance: object | None) -> None:
        """Note a registration; one of another kind, or after loading, is reported and has no effect."""
        if not self._open or kind != self._kind:
            log.warning("a registration has no effect", kind=kind, component=name, loading=self._kind)
            return
        self._registered.append((name, instance))

    def close(self) -> None:
        """Take no more registrations."""
        self._open = False

    def name_of(self, instance: object) -> str | None:
        """Return the name that was registered for `instance`, else the one that was announced, else None."""
        named = [name for name, registered in self._registered if registered is instance]
        announced = [name for name, registered in self._registered if registered is None]
        names = named or announced
        return names[-1] if names else None


@dataclass(slots=True, kw_only=True)
class Loading:
    """One attempt to load a component; filled step by step, so that `stage` says where it ended.

    secrets: (place, value) of those in its configuration. isolated: this is the process of a plugin of its own.
    """

    found: Found
    config_for: Callable[[str, str], ComponentTable]
    stage: str = "import"
    name: str = ""
    enabled: bool = True
    instance: Any = None
    config: BaseModel | None = None
    requires: tuple[str, ...] = ()
    entries: list[CatalogueEntry] = field(default_factory=list)
    hooks: list[HookBinding] = field(default_factory=list)
    handlers: list[HandlerBinding] = field(default_factory=list)
    strategies: list[StrategyBinding] = field(default_factory=list)
    groups: tuple[CommandGroup, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    isolated: bool = False

    def run(self) -> None:
        """Load it. Blocks, and raises whatever its code raises: run it in a thread."""
        scope = Scope(self.found.kind)
        token = current_scope.set(scope)
        try:
            exported = _exported(self.found.load(), self.found)
            self.instance = self._constructed(exported) if isinstance(exported, type) else exported
        finally:
            scope.close()
            current_scope.reset(token)
        self.stage = "declaration"
        self.name = _checked_name(scope.name_of(self.instance) or self.found.name)
        table = self.config_for(self.found.kind, self.name)
        self.enabled = table.enabled
        if not self.enabled:
            return
        if self.found.kind == "plugin" and not self.isolated:
            check_isolation(self.name, self.instance, table)
        _check_base(self.found.kind, self.instance)
        self.stage = "configuration"
        self.config = read_config(self.found.kind, self.name, self.instance, table)
        if self.config is not None:
            self.instance.config = self.config
        self.secrets = tuple(secrets_of(self.config, f"{PACKAGES[self.found.kind]}.{self.name}"))
        self.stage = "declaration"
        if self.found.kind == "plugin":
            self.requires = _requires(self.name, self.instance)
            self.entries = build_entries(self.name, self.instance)
            self.hooks = placed(_hooks(self.name, self.instance), table)
            self.strategies = _strategies(self.name, self.instance)
            handlers = declared_handlers(self.name, self.instance)
            self.groups = declared_groups(self.name, self.instance, isolated=self.isolated)
            declared = self.entries or self.hooks or self.strategies or handlers or self.groups
            if not declared and not hasattr(self.instance, "start"):
                raise DeclarationError(
                    f"{self.name} declares no action, no hook, no event handler and no start.",
                    cure="Derive it from AIPluginBase, or define get_supported_actions and handle_custom_action.",
                )
            self.stage = "configuration"
            self.handlers = configured_handlers(self.name, handlers, table.events, table.priority)
        else:
            self.instance.name = self.name

    @staticmethod
    def checked_name(name: object) -> str:
        """Return what can be the name of a component; raises DeclarationError for anything else."""
        return _checked_name(name)

    def _constructed(self, cls: type) -> object:
        try:
            inspect.signature(cls).bind()
        except ValueError:
            pass  # a constructor written in C has no signature
        except TypeError as error:
            self.stage = "declaration"
            raise DeclarationError(
                f"{cls.__name__} cannot be constructed without arguments: {error}.",
                cure="Give each a default; settings arrive as self.config, services as self.context.",
            ) from error
        return cls()


def placed(hooks: list[HookBinding], table: ComponentTable) -> list[HookBinding]:
    """Return the hooks of a plugin where the operator wants them among those of others."""
    if table.priority is None:
        return hooks
    return [replace(binding, priority=table.priority) for binding in hooks]


def check_isolation(name: str, instance: object, table: ComponentTable) -> None:
    """Raise DeclarationError where a plugin that is to run in a process of its own is loaded here."""
    if table.isolation == "none":
        return
    wanted = getattr(instance, "isolation", "") or ""
    if wanted not in ("", *ISOLATIONS):
        raise DeclarationError(f"{name}.isolation is {wanted!r}.", cure=suggestion(str(wanted), ISOLATIONS))
    if wanted == "process":
        raise DeclarationError(
            f'{name} wants isolation = "process", which could not be read without running it.',
            cure=f"Write it as a text in the class itself, or under [plugins.{name}] in rekku.toml.",
        )
    if table.isolation is not None:
        raise DeclarationError(
            f"[plugins.{name}] isolation: it counts under the name of the plugin's file.",
            cure="Write it there, under [plugins.FILE].",
        )


def _exported(thing: object, found: Found) -> object:
    """Return the class of a module, or the class or instance that was handed over."""
    if not isinstance(thing, ModuleType):
        return thing
    if not hasattr(thing, EXPORT):
        raise DeclarationError(
            f"{found.name} does not export {EXPORT}.",
            cure=f"Add {EXPORT} = YourClass at its end; the name of a file that is no {found.kind} starts with _.",
        )
    exported = getattr(thing, EXPORT)
    if not isinstance(exported, type):
        raise DeclarationError(
            f"{found.name}.{EXPORT} is a {type(exported).__name__}, not a class.",
            cure=f"Write {EXPORT} = YourClass, without parentheses.",
        )
    return exported


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError(
            f"{name!r} cannot be the name of a component.", cure="Use letters, digits, _ and -, a letter first."
        )
    return name


def _check_base(kind: str, instance: object) -> None:
    base = _BASES.get(kind)
    if base is not None and not isinstance(instance, base):
        raise DeclarationError(
            f"{type(instance).__name__} is no {kind}.", cure=f"Derive it from {base.__module__}.{base.__name__}."
        )


def _requires(name: str, instance: object) -> tuple[str, ...]:
    requires = getattr(instance, "requires", ())
    if isinstance(requires, str) or not all(isinstance(one, str) for one in requires):
        raise DeclarationError(
            f"{name}.requires is {requires!r}.", cure='Write requires = ("other",), with the comma.'
        )
    return tuple(requires)


def _hooks(name: str, instance: object) -> list[HookBinding]:
    """Read the decorated methods, base classes first, then the older name of gather_context."""
    bindings: list[HookBinding] = []
    for method, _, mark in marked_methods(type(instance), "_rekku_hook"):
        if isinstance(mark, HookMark):
            if mark.name not in HOOKS:
                where = named(f"{name}.{method}", getattr(instance, method))
                raise DeclarationError(f"{where}: there is no hook {mark.name}.", cure=suggestion(mark.name, HOOKS))
            check_hook(name, method, mark.name, getattr(instance, method))
            bindings.append(
                HookBinding(
                    hook=mark.name,
                    plugin=name,
                    method=method,
                    call=getattr(instance, method),
                    priority=mark.priority,
                    position=len(bindings),
                )
            )
    injection = getattr(instance, STATIC_INJECTION, None)
    if callable(injection) and not any(binding.method == STATIC_INJECTION for binding in bindings):
        bindings.append(
            HookBinding(
                hook=COLLECTS,
                plugin=name,
                method=STATIC_INJECTION,
                call=injection,
                position=len(bindings),
                injects=_positional(name, injection),
            )
        )
    return bindings


def _strategies(name: str, instance: object) -> list[StrategyBinding]:
    """Read the methods that are decorated with `@strategy`."""
    bindings: list[StrategyBinding] = []
    for method, _, mark in marked_methods(type(instance), "_rekku_strategy"):
        if not isinstance(mark, StrategyMark):
            continue
        if any(binding.name == mark.name for binding in bindings):
            where = named(f"{name}.{method}", getattr(instance, method))
            raise DeclarationError(
                f"{where}: the strategy {mark.name} is declared twice.", cure="Give one of them another name."
            )
        bindings.append(
            StrategyBinding(
                name=mark.name,
                plugin=name,
                method=method,
                call=getattr(instance, method),
                timeout_s=mark.timeout_s,
            )
        )
    return bindings


def _positional(name: str, injection: Callable[..., Any]) -> int:
    """Return how many of (message, context) it takes."""
    signature = inspect.signature(injection)
    for count in (2, 1, 0):
        try:
            signature.bind(*(None,) * count)
        except TypeError:
            continue
        return count
    raise DeclarationError(
        f"{name}.{STATIC_INJECTION}{signature} needs more than it is given.",
        cure=f"Write {STATIC_INJECTION}(self, message, context).",
    )
