"""What hooks answer, looked at before anything uses it: a value of the right type may still hold anything."""

from __future__ import annotations

import copy
import dataclasses
import types
from collections.abc import Hashable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from core.contracts.actions import ActionSpec
from core.contracts.hooks import Block
from core.contracts.json import Json, storable
from core.services.event_data import copied, short

T = TypeVar("T")

MOST_DEPTH = 64


def own(value: T) -> T:
    """Return a copy for one hook: what it does to that changes nothing that others see or that is recorded."""
    return copy.deepcopy(value)


def own_specs(specs: Sequence[ActionSpec]) -> list[ActionSpec]:
    """Return copies of declarations for one hook."""
    return [dataclasses.replace(spec, schema=copied(dict(spec.schema))) for spec in specs]


def same_kind(answer: Any, value: T) -> T:
    """Return an answer that can stand in the place of `value`; raises TypeError that says what is wrong with it."""
    if isinstance(value, str) and isinstance(answer, str):
        text: Any = _plain(answer)
        return text  # type: ignore[no-any-return]
    if type(answer) is not type(value):
        raise TypeError(f"answered with a {type(answer).__name__}, not a {type(value).__name__} or None")
    if wrong := _wrong(answer, type(value), MOST_DEPTH):
        raise TypeError(f"answered with a {type(value).__name__} whose {wrong}")
    return answer


def told_block(block: Block) -> Block:
    """Return a block whose reason can be written down and told, whatever was given as one."""
    try:
        reason = block.reason
        told = _plain(reason) if isinstance(reason, str) else repr(reason)
    except BaseException as error:  # noqa: BLE001 - foreign code says how it is shown; it blocks all the same
        told = f"The reason cannot be shown ({type(error).__name__})."
    return Block(short(storable(told)))


def _plain(text: str) -> str:
    """Return a text as the built-in type, without what no database can take."""
    return storable(str.__str__(text))


def _wrong(value: Any, hint: Any, depth: int) -> str:
    """Return what of a value does not fit its type, "" where all does. Only what contracts declare is known."""
    if depth == 0:
        return "values are nested too deep"
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if type(value) is not hint:
            return f"value is a {type(value).__name__}, not a {hint.__name__}"
        for name, of_field in _fields(cast(Hashable, hint)):
            if wrong := _wrong(getattr(value, name), of_field, depth - 1):
                return wrong if wrong.startswith(("values ", "field ")) else f"field {name}: {wrong}"
        return ""
    return "" if _is(value, hint, depth) else f"it is a {type(value).__name__}"


def _is(value: Any, hint: Any, depth: int) -> bool:
    """Whether a value is what a type of the contracts says."""
    origin, inside = get_origin(hint), get_args(hint)
    if hint is Any or hint is Json:
        return _is_json(value, depth)
    if origin in (Union, types.UnionType):
        return any(_is(value, one, depth) for one in inside)
    if origin is tuple:
        return isinstance(value, tuple) and not any(_wrong(one, inside[0], depth - 1) for one in value)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return type(value) is dict and _is_json(value, depth)
    if hint is None or hint is type(None):
        return value is None
    if dataclasses.is_dataclass(hint):
        return not _wrong(value, hint, depth)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str) and _is_storable(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return isinstance(value, hint)
    return not isinstance(hint, type) or isinstance(value, hint)


def _is_json(value: Any, depth: int) -> bool:
    if value is None or type(value) in (bool, int, float):
        return True
    if isinstance(value, str):
        return _is_storable(value)
    if depth == 0:
        return False
    if type(value) in (list, tuple):
        return all(_is_json(one, depth - 1) for one in value)
    if type(value) is dict:
        return all(isinstance(key, str) and _is_json(one, depth - 1) for key, one in value.items())
    return False


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _fields(form: Hashable) -> tuple[tuple[str, Any], ...]:
    declared: Any = form
    hints = get_type_hints(declared)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(declared))
