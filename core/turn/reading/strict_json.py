"""Strict JSON at the speed of the standard library, without what it swallows.

RFC 8259 leaves duplicate keys and numbers out of range to the parser; here neither is read.
"""

from __future__ import annotations

import json
import math

from core.contracts.json import Json, JsonObject

MAX_DEPTH = 64
"""Objects and lists inside each other."""


def _object(pairs: list[tuple[str, Json]]) -> JsonObject:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a duplicate key")
    return value


def _constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number out of range")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


def read_strict(text: str) -> Json:
    """Return the one JSON value that the whole text is.

    Raises ValueError for anything else, duplicate keys, NaN and numbers out of range included, and RecursionError
    for what is nested very deep; what is merely deeper than `MAX_DEPTH` is for `too_deep` to find.
    """
    return _DECODER.decode(text)


def read_strict_at(text: str, at: int) -> tuple[Json, int]:
    """Return the JSON value that begins at the offset, and the offset behind it; raises as `read_strict` does."""
    return _DECODER.raw_decode(text, at)


def too_deep(value: Json) -> bool:
    """Whether objects and lists are nested over `MAX_DEPTH` deep; without recursion, a level at a time."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in (dict, list)
        ]
    return bool(level)
