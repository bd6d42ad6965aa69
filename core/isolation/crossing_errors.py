"""Errors of plugins as data, and back: the type where it is one of ours or of Python's, else its name."""

from __future__ import annotations

import builtins
from functools import cache
from typing import Any

from core.contracts import errors
from core.contracts.errors import RekkuError
from core.contracts.json import Json, JsonObject, storable

MOST_CAUSES = 10
LONGEST = 2_000


class PluginProcessDied(ConnectionError):
    """The process of a plugin ended, or was ended, while something was asked of it."""


class ForeignError(Exception):
    """An error of a type that only the plugin's process knows; the type that is raised bears its name."""


def encode_error(error: BaseException, causes: int = MOST_CAUSES) -> JsonObject:
    """Return an error with what caused it; its sentence is cut."""
    try:
        said = str(error)[:LONGEST]
    except Exception:  # noqa: BLE001 - how an error of foreign code says itself is foreign code too
        said = ""
    cure = getattr(error, "cure", "") if isinstance(error, RekkuError) else ""
    encoded: JsonObject = {"type": type(error).__name__, "said": storable(said)}
    if isinstance(cure, str) and cure:
        encoded["cure"] = storable(cure[:LONGEST])
    base = next((cls.__name__ for cls in type(error).__mro__ if cls in _of_python() or cls in _of_ours()), "")
    if base and base != encoded["type"]:
        encoded["base"] = base
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and causes > 1:
        encoded["cause"] = encode_error(cause, causes - 1)
    return encoded


def decode_error(encoded: Json, causes: int = MOST_CAUSES) -> Exception:
    """Return the error, with its cause; whatever is malformed becomes a ForeignError."""
    if not isinstance(encoded, dict):
        return ForeignError("it gave no readable reason")
    name, said, cure, base = (str(encoded.get(key, ""))[:LONGEST] for key in ("type", "said", "cure", "base"))
    known = {cls.__name__: cls for cls in (*_of_python(), *_of_ours())}
    cls: Any = known.get(name) or _named(name if name.isidentifier() else "ForeignError", known.get(base))
    if not issubclass(cls, RekkuError):
        error: Exception = cls(said)
    elif cls in _unusual():
        error = RekkuError(said, cure=cure)  # its constructor wants more than a sentence
    else:
        error = cls(said, cure=cure)
    if "cause" in encoded and causes > 1:
        error.__cause__ = decode_error(encoded["cause"], causes - 1)
    return error


def _named(name: str, base: Any) -> type[Exception]:
    """Return a type of that name, derived from the nearest one that is known here, so that it is caught as there."""
    usable = base is not None and base not in _unusual()
    return type(name[:80], (base if usable else ForeignError,), {})


@cache
def _of_python() -> tuple[type[Exception], ...]:
    wanted = (
        "ArithmeticError AssertionError AttributeError BrokenPipeError ConnectionAbortedError ConnectionError "
        "ConnectionRefusedError ConnectionResetError EOFError FileNotFoundError IndexError KeyError LookupError "
        "MemoryError NotImplementedError OSError OverflowError PermissionError RecursionError RuntimeError "
        "TimeoutError TypeError ValueError ZeroDivisionError"
    )
    return tuple(getattr(builtins, name) for name in wanted.split())


@cache
def _of_ours() -> tuple[type[RekkuError], ...]:
    return tuple(cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, RekkuError))


@cache
def _unusual() -> frozenset[type[RekkuError]]:
    """Those whose constructors take something else than a sentence and a cure."""
    return frozenset(cls for cls in _of_ours() if issubclass(cls, errors.RetryLater))
