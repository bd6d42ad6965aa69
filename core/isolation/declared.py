"""What a plugin's process says that the plugin declares, read with distrust."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

from core.contracts.actions import ActionSpec
from core.contracts.errors import DeclarationError
from core.contracts.hooks import HOOKS
from core.contracts.json import Json, JsonObject
from core.declarations import SHORTEST_INTERVAL_S
from core.event_conditions import Condition, condition_from_data
from core.services.periodic import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredHook:
    """One hook; its place is that in the plugin's source. injects: see `HookBinding`."""

    hook: str
    method: str
    priority: int
    injects: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredHandler:
    """One handler of events; its place is that in the plugin's source. when: None where the plugin is asked."""

    pattern: str
    method: str
    when: Condition | None
    stage: str
    priority: int
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredStrategy:
    """One turn strategy; likewise."""

    name: str
    method: str
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """specs: by type. jobs: by name what makes the job of its function. secrets: (place, value) of the configuration.

    config_schema: the JSON Schema of the plugin's `Config`, None where it has none.
    """

    specs: Mapping[str, ActionSpec] = field(default_factory=dict)
    hooks: tuple[DeclaredHook, ...] = ()
    handlers: tuple[DeclaredHandler, ...] = ()
    strategies: tuple[DeclaredStrategy, ...] = ()
    jobs: Mapping[str, Callable[[Any], Job]] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    config_schema: JsonObject | None = None

    @classmethod
    def read(cls, said: JsonObject) -> Declared:
        """Read what `Worker.do_load` returns; raises DeclarationError for anything else."""
        try:
            return cls(
                specs={spec.type: spec for spec in _all(ActionSpec, said["specs"])},
                hooks=tuple(_hook(*one) for one in said["hooks"]),
                handlers=tuple(_handler(*one) for one in said["handlers"]),
                strategies=tuple(_strategy(*one) for one in said["strategies"]),
                jobs=dict(_job(*one) for one in said["jobs"]),
                requires=tuple(_all(str, said["requires"])),
                secrets=tuple((str(place), str(value)) for place, value in said["secrets"]),
                config_schema=said["config_schema"],
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise DeclarationError(f"What the plugin's process declares cannot be read: {error}.") from error

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """What is called by its place, in order: it has to be the same in the next process."""
        hooks = [(one.hook, one.method) for one in self.hooks]
        handlers = [(one.pattern, one.method) for one in self.handlers]
        return (*hooks, *handlers, *((one.name, one.method) for one in self.strategies))

    def with_specs(self, specs: list[ActionSpec]) -> Declared:
        """Return this with other actions."""
        return replace(self, specs={spec.type: spec for spec in specs})

    def declaration(self, type_: str) -> JsonObject:
        """Return an action as `get_supported_actions` tells of it."""
        spec = self.specs[type_]
        return {one.name: getattr(spec, one.name) for one in fields(spec) if one.name not in ("type", "plugin")}


def _all(kind: Any, values: Json) -> list[Any]:
    if not isinstance(values, list) or not all(isinstance(one, kind) for one in values):
        raise TypeError(f"a list of {kind.__name__} was expected")
    return values


def _hook(hook: Json, method: Json, priority: Json, injects: Json) -> DeclaredHook:
    if hook not in HOOKS or not isinstance(method, str) or not isinstance(priority, int):
        raise TypeError("a hook that is none")
    if injects is not None and not isinstance(injects, int):
        raise TypeError("a hook that is none")
    return DeclaredHook(hook=hook, method=method, priority=priority, injects=injects)


def _handler(
    pattern: Json, method: Json, when: Json, stage: Json, priority: Json, timeout_s: Json
) -> DeclaredHandler:
    if not all(isinstance(text, str) for text in (pattern, method, stage)):
        raise TypeError("an event handler that is none")
    return DeclaredHandler(
        pattern=pattern,
        method=method,
        when=None if when is None else condition_from_data(when),
        stage=stage,
        priority=priority,
        timeout_s=timeout_s,
    )


def _strategy(name: Json, method: Json, timeout_s: Json) -> DeclaredStrategy:
    if not isinstance(name, str) or not isinstance(method, str):
        raise TypeError("a turn strategy that is none")
    return DeclaredStrategy(name=name, method=method, timeout_s=_deadline(timeout_s))


def _job(name: Json, seconds: Json, cron: Json, skip_late: Json, timeout_s: Json) -> tuple[str, Any]:
    kinds = ((name, str), (seconds, float | int), (cron, str), (skip_late, bool))
    least_s = 0.0 if cron else SHORTEST_INTERVAL_S
    if not all(isinstance(value, kind) for value, kind in kinds) or not least_s <= seconds < math.inf:
        raise TypeError("a periodic job that is none")
    make = partial(
        _made, name=name, seconds=float(seconds), cron=cron, skip_late=skip_late, timeout_s=_deadline(timeout_s)
    )
    return name, make


def _deadline(timeout_s: Json) -> float:
    if not isinstance(timeout_s, float | int) or not 0 < timeout_s < math.inf:
        raise TypeError("a deadline that is none")
    return float(timeout_s)


def _made(run: Any, **fields: Any) -> Job:
    return Job(run=run, **fields)
