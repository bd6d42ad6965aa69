"""The data of the contracts as JSON and back: what crosses between Rekku and the process of a plugin.

Plain JSON stays as it is. What JSON lacks is an object with the one key "$": a dataclass or an enum of
`core.contracts` by its name, a tuple, a set, a date, or an object with keys that are no text or begin with "$".
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import pkgutil
import types
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import core.contracts
from core.contracts.json import Json

MARK = "$"
MAX_DEPTH = 96
_TIMES: Mapping[str, Any] = {"datetime": datetime, "date": date, "time": time}  # a datetime is a date as well


class CannotCross(TypeError):
    """A value that is no plain data."""


def encode(value: Any) -> Json:
    """Return a value as JSON; raises CannotCross for what is neither JSON nor data of the contracts."""
    return _encode(value, MAX_DEPTH)


def decode(value: Json) -> Any:
    """Return what was encoded; raises CannotCross for what `encode` never writes, or fields of another type."""
    return _decode(value, MAX_DEPTH)


def _encode(value: Any, depth: int) -> Json:
    if value is None or value is True or value is False or type(value) in (int, float, str):
        return value
    if depth == 0:
        raise CannotCross(f"it is nested over {MAX_DEPTH} deep")
    if isinstance(value, enum.Enum):
        return {MARK: ["enum", _name_of(type(value)), value.value]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _encode(getattr(value, f.name), depth - 1) for f in dataclasses.fields(value) if f.init}
        return {MARK: ["data", _name_of(type(value)), fields]}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith(MARK) for key in value):
            return {str(key): _encode(item, depth - 1) for key, item in value.items()}
        pairs = [[_encode(key, depth - 1), _encode(item, depth - 1)] for key, item in value.items()]
        return {MARK: ["dict", pairs]}
    if isinstance(value, list):
        return [_encode(item, depth - 1) for item in value]
    if isinstance(value, tuple):
        return {MARK: ["tuple", [_encode(item, depth - 1) for item in value]]}
    if isinstance(value, set | frozenset):
        return {MARK: ["set", [_encode(item, depth - 1) for item in value]]}
    for kind, cls in _TIMES.items():
        if isinstance(value, cls):
            return {MARK: [kind, value.isoformat()]}
    if isinstance(value, str | int | float):  # subclasses, as the plain value that they are
        base = next(base for base in (str, int, float) if isinstance(value, base))
        return base(value)
    raise CannotCross(f"a {type(value).__name__} is no plain data")


def _decode(value: Json, depth: int) -> Any:
    if depth == 0:
        raise CannotCross(f"it is nested over {MAX_DEPTH} deep")
    if isinstance(value, list):
        return [_decode(item, depth - 1) for item in value]
    if not isinstance(value, dict):
        return value
    if MARK not in value:
        return {key: _decode(item, depth - 1) for key, item in value.items()}
    try:
        kind, *rest = value[MARK]
        return _made(kind, rest, depth)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise error if isinstance(error, CannotCross) else CannotCross(f"it is malformed: {error}") from error


def _made(kind: Json, rest: list[Json], depth: int) -> Any:
    match kind, rest:
        case "enum", [str() as name, value]:
            cls = _known()[name]
            if not issubclass(cls, enum.Enum):
                raise CannotCross(f"{name} is no enum")
            return cls(value)
        case "data", [str() as name, dict() as fields]:
            cls, hints = _known()[name], _hints(name)
            given = {key: _decode(item, depth - 1) for key, item in fields.items()}
            for key, item in given.items():
                if key not in hints or not _fits(item, hints[key]):
                    raise CannotCross(f"{name}.{key} cannot be a {type(item).__name__}")
            return cls(**given)
        case "dict", [list() as pairs]:
            return {_decode(key, depth - 1): _decode(item, depth - 1) for key, item in pairs}
        case "tuple", [list() as items]:
            return tuple(_decode(item, depth - 1) for item in items)
        case "set", [list() as items]:
            return frozenset(_decode(item, depth - 1) for item in items)
        case (("datetime" | "date" | "time"), [str() as text]):
            return _TIMES[kind].fromisoformat(text)
    raise CannotCross(f"{kind!r:.40} is no kind of value")


def _name_of(cls: type) -> str:
    name = f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"
    if _known().get(name) is not cls:
        raise CannotCross(f"{cls.__name__} is no type of core.contracts")
    return name


@cache
def _known() -> dict[str, Any]:
    """Return every dataclass and enum of the contracts by "module.Class"."""
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(core.contracts.__path__):
        for cls in vars(importlib.import_module(f"core.contracts.{module.name}")).values():
            own = isinstance(cls, type) and cls.__module__ == f"core.contracts.{module.name}"
            if own and (dataclasses.is_dataclass(cls) or issubclass(cls, enum.Enum)):
                found[f"{module.name}.{cls.__name__}"] = cls
    return found


@cache
def _hints(name: str) -> dict[str, Any]:
    cls = _known()[name]
    if not dataclasses.is_dataclass(cls):
        raise CannotCross(f"{name} is no dataclass")
    return get_type_hints(cls)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that a field is declared with."""
    if hint is Any:
        return True
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if hint is None or hint is types.NoneType:
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is None:
        return isinstance(hint, type) and isinstance(value, hint)
    if not (isinstance(origin, type) and isinstance(value, origin)):
        return False
    if isinstance(value, Mapping):
        return len(arguments) == 2 and all(
            _fits(k, arguments[0]) and _fits(v, arguments[1]) for k, v in value.items()
        )
    if isinstance(value, Collection | Sequence):
        if origin is tuple and arguments[-1:] != (...,):
            return len(value) == len(arguments) and all(map(_fits, value, arguments))
        return all(_fits(item, arguments[0]) for item in value)
    return False
