"""The event handlers of a plugin: what `@on` says, checked, and what rekku.toml says in its place."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from core.contracts.errors import ConfigurationError, DeclarationError
from core.contracts.events import EventStage
from core.contracts.json import Json
from core.declarations import EventMark, marked_methods, named
from core.event_conditions import condition_of
from core.event_patterns import check_pattern
from core.near_names import full_stop, suggestion
from core.registry.misspelt_events import meant_instead
from core.services.event_handlers import HandlerBinding

log = structlog.get_logger("rekku.registry")

LONGEST_TIMEOUT_S = 600.0


class _Refused(Exception):
    """What is wrong with an argument of `@on` or `subscribe`, and the cure."""

    def __init__(self, *, what: str, cure: str) -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure


def declared_handlers(name: str, plugin: object) -> list[HandlerBinding]:
    """Return the handlers that a plugin declares, base classes first; raises DeclarationError with the cure."""
    found: list[HandlerBinding] = []
    for method, _, marks in marked_methods(type(plugin), "_rekku_events"):
        for mark in marks:
            if isinstance(mark, EventMark):
                found.append(
                    binding_of(
                        name,
                        method,
                        getattr(plugin, method),
                        pattern=mark.pattern,
                        when=mark.when,
                        stage=mark.stage,
                        priority=mark.priority,
                        timeout_s=mark.timeout_s,
                        position=len(found),
                    )
                )
    return found


def binding_of(
    plugin: str,
    method: str,
    call: Callable[..., Any],
    *,
    pattern: object,
    when: object,
    stage: object,
    priority: object,
    timeout_s: object,
    position: int = 0,
    kind: str = "plugin",
) -> HandlerBinding:
    """Return one handler; raises DeclarationError that names the plugin, the method and the cure."""
    try:
        _check_call(call)
        checked = _pattern(pattern)
        if meant := meant_instead(checked):
            log.warning(
                "no event of the core has this name", plugin=plugin, method=method, pattern=checked, meant=meant
            )
        return HandlerBinding(
            pattern=checked,
            plugin=plugin,
            method=method,
            call=call,
            kind=kind,
            when=_condition(when),
            stage=_stage(stage),
            priority=_priority(priority),
            position=position,
            timeout_s=_timeout(timeout_s),
        )
    except _Refused as refused:
        where = named(f"{plugin}.{method}", call)
        raise DeclarationError(f"{where}: {full_stop(refused.what)}", cure=refused.cure) from None


def configured_handlers(
    name: str, handlers: Sequence[HandlerBinding], tables: Mapping[str, Json], priority: int | None = None
) -> list[HandlerBinding]:
    """Return the handlers as `[plugins.NAME.events]` wants them: those that are switched off are left out.

    tables: by the pattern or the method of handlers: `when`, `priority`, `timeout_s`, `enabled`. priority: the
    plugin's own. Raises ConfigurationError that names the key.
    """
    section = f"[plugins.{name}.events]"
    known = sorted({handler.pattern for handler in handlers} | {handler.method for handler in handlers})
    for key in tables:
        if key not in known:
            cure = suggestion(key, known) or "It handles no events."
            raise ConfigurationError(f"{section} {key}: {name} has no handler of that pattern or name.", cure=cure)
    kept: list[HandlerBinding] = []
    for declared in handlers:
        handler = declared if priority is None else replace(declared, priority=priority)
        enabled = True
        for key in (handler.pattern, handler.method):  # what is said of the method alone is the closer word
            if key in tables:
                changes = _changes(f"{section} {key}", tables[key])
                enabled = changes.pop("enabled", enabled)
                handler = replace(handler, **changes)
        if enabled:
            kept.append(handler)
    return kept


def _changes(place: str, table: Mapping[str, Json]) -> dict[str, Any]:
    """Return the fields that a table of one handler sets; raises ConfigurationError."""
    read: dict[str, Callable[[object], Any]] = {
        "enabled": _enabled,
        "priority": _priority,
        "timeout_s": _timeout,
        "when": _condition_text,
    }
    changes: dict[str, Any] = {}
    for key, value in table.items():
        if key not in read:
            raise ConfigurationError(f"{place}.{key}: there is no such key.", cure=suggestion(key, read))
        try:
            changes[key] = read[key](value)
        except _Refused as refused:
            raise ConfigurationError(f"{place}.{key}: {full_stop(refused.what)}", cure=refused.cure) from None
    return changes


def _pattern(pattern: object) -> str:
    try:
        return check_pattern(pattern)
    except ValueError as error:
        cure = 'Write a name in lower case with dots, * for one part or ** at the end: "turn.*", "lamp.**".'
        raise _Refused(what=f"{error}", cure=cure) from None


def _stage(stage: object) -> EventStage:
    try:
        return EventStage(stage)  # type: ignore[arg-type]
    except ValueError:
        raise _Refused(what=f"{stage!r:.80} is no stage of events", cure=suggestion(str(stage), EventStage)) from None


def _condition(when: object) -> Any:
    if not callable(when):
        cure = 'Write when=wake_word("hey rekku"), when=regex("…"), or the name of a function of the event.'
        raise _Refused(what=f"the condition {when!r:.80} cannot be called", cure=cure)
    return when


def _condition_text(text: object) -> Any:
    try:
        return condition_of(text)
    except ValueError as error:
        raise _Refused(what=str(error), cure='Write when = "wake_word: hey rekku", say.') from None


def _priority(priority: object) -> int:
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise _Refused(
            what=f"the priority {priority!r:.80} is no whole number", cure="Write 50, say; lower is first."
        )
    return priority


def _timeout(timeout_s: object) -> float:
    is_number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
    if not is_number or not math.isfinite(timeout_s) or not 0 < timeout_s <= LONGEST_TIMEOUT_S:  # type: ignore[arg-type,operator]
        cure = f"Write seconds above 0 and up to {LONGEST_TIMEOUT_S:g}, as 5.0."
        raise _Refused(what=f"timeout_s is {timeout_s!r:.80}", cure=cure)
    return float(timeout_s)  # type: ignore[arg-type]


def _enabled(enabled: object) -> bool:
    if not isinstance(enabled, bool):
        raise _Refused(what="must be true or false", cure="Write it without quotes.")
    return enabled


def _check_call(call: object) -> None:
    """Refuse what cannot be called with an event alone."""
    if not callable(call):
        raise _Refused(what="it cannot be called", cure="Decorate a method that takes the event.")
    try:
        inspect.signature(call).bind(None)
    except ValueError:
        return  # written in C: it has no signature
    except TypeError:
        cure = "Write it as a method of self and event."
        raise _Refused(what="it does not take one event and nothing else", cure=cure) from None
