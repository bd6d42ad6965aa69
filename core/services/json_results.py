"""What foreign code returned, made JSON, and never less tainted than it was."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from core.contracts.actions import Untrusted
from core.contracts.errors import ActionFailed
from core.contracts.json import Json, compact
from core.own_thread import in_own_thread

MAX_DEPTH = 64
MOST_VALUES = 100_000
MOST_BYTES = 4 * 1024 * 1024
"""Of all texts of a result together."""


async def json_result(value: Any, whose: str) -> Json | Untrusted:
    """Return `value` as JSON, or as Untrusted, as `as_json_result` does, without holding up the event loop.

    What is more than a text or a number may run foreign code (iterators, serializers), and gets a thread of its own.
    """
    if value is None or type(value) in (bool, int, float, str, Untrusted):
        return as_json_result(value, whose)
    return await in_own_thread(partial(as_json_result, value, whose), whose)


def as_json_result(value: Any, whose: str) -> Json | Untrusted:
    """Return `value` as JSON, or as Untrusted; raises ActionFailed when it cannot be said in JSON, or is too much.

    Models, dataclasses, dates, enums, sets and iterators are converted; NaN and the infinities become null. An
    Untrusted inside a larger value makes the whole Untrusted, as JSON text. A text that is too long is cut. whose:
    names the function in the error.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, Untrusted) and isinstance(value.text, str):
        text = _cut(value.text)
        return value if type(value) is Untrusted and text is value.text else Untrusted(text)
    if isinstance(value, str) and type(value) is str:
        return _cut(value)
    try:
        plain = _Plain()
        result = to_jsonable_python(plain.of(value, MAX_DEPTH), inf_nan_mode="null")
        text = compact(result)
        if not _encodable(text):
            result = json.loads(_encoded(text))
            text = _encoded(text)
        if len(text) > 2 * MOST_BYTES:
            raise _TooMuch
    except Exception as error:  # serializers and iterators of foreign classes raise anything
        first_line = (str(error).splitlines() or [""])[0]
        raise ActionFailed(
            f"{whose} returned a {type(value).__name__}, which cannot be said in JSON ({first_line}).",
            cure="Return text, numbers, lists, dictionaries, dataclasses or pydantic models.",
        ) from error
    return Untrusted(text) if plain.tainted else result


class _TooMuch(ValueError):
    def __init__(self) -> None:
        super().__init__(f"more than {MOST_VALUES} values or {MOST_BYTES} bytes of text")


class _Plain:
    """Copies a result as far as it is made of containers, inside bounds: it may be endless, or contain itself.

    A part that occurs many times counts as often. `tainted`: an Untrusted was among it.
    """

    def __init__(self) -> None:
        self.tainted = False
        self._values = 0
        self._bytes = 0
        self._inside_models = 0

    def of(self, value: Any, depth: int) -> Any:
        """Return a copy in which containers are lists and dictionaries; raises ValueError beyond the bounds."""
        if depth == 0:
            raise ValueError(f"nested over {MAX_DEPTH} deep")
        self._count(value)
        if value is None or isinstance(value, str | bytes | bytearray | int | float):
            return value
        if isinstance(value, Untrusted):
            self.tainted = True
            return {"text": self.of(value.text, depth - 1)}
        if isinstance(value, enum.Enum):
            return self.of(value.value, depth - 1)
        if isinstance(value, Mapping):
            return {self._key(key, depth): self.of(item, depth - 1) for key, item in value.items()}
        if isinstance(value, Iterator) and self._inside_models:
            raise TypeError("an iterator inside a model")
        if isinstance(value, list | tuple | set | frozenset | deque | Iterator):
            return [self.of(item, depth - 1) for item in value]
        if isinstance(value, BaseModel):
            model = type(value)
            declared = (*model.model_fields, *model.model_computed_fields)
            self._look_into([*(getattr(value, name) for name in declared), value.model_extra], depth)
            return value
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            if hasattr(type(value), "__pydantic_serializer__"):
                self._look_into([getattr(value, name) for name in names], depth)
                return value
            return {name: self.of(getattr(value, name), depth - 1) for name in names}
        return value

    def _look_into(self, parts: list[Any], depth: int) -> None:
        """Count the parts of a model, which says itself how it is serialized: to look must use up nothing."""
        self._inside_models += 1
        for part in parts:
            self.of(part, depth - 1)
        self._inside_models -= 1

    def _key(self, key: Any, depth: int) -> Any:
        """Return a key as it is; what is no text becomes one when it is said in JSON, with all that it holds."""
        self.of(key, depth - 1)
        return key.text if isinstance(key, Untrusted) else key

    def _count(self, value: Any) -> None:
        self._values += 1
        if isinstance(value, str | bytes | bytearray):
            self._bytes += len(value)
        elif isinstance(value, int) and value.bit_length() > 8 * 1024:
            raise ValueError("a number of thousands of digits")
        if self._values > MOST_VALUES or self._bytes > MOST_BYTES:
            raise _TooMuch


def _cut(text: str) -> str:
    if len(text) > MOST_BYTES:
        text = f"{text[:MOST_BYTES]} (cut: {len(text)} characters in all)"
    return text if _encodable(text) else _encoded(text)


def _encodable(text: str) -> bool:
    """Whether the text has no lone surrogate, which neither a database nor a platform can take."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encoded(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
