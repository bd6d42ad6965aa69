"""What foreign code returned, made JSON, and never less tainted than it was."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from pydantic_core import to_jsonable_python

from core.contracts.actions import Untrusted
from core.contracts.errors import ActionFailed
from core.contracts.json import Json, compact

MAX_DEPTH = 64


def as_json_result(value: Any, whose: str) -> Json | Untrusted:
    """Return `value` as JSON, or as Untrusted; raises ActionFailed when it cannot be said in JSON.

    Models, dataclasses, dates, enums and sets are converted; NaN and the infinities become null. An Untrusted
    inside a larger value makes the whole Untrusted, as JSON text. whose: names the function in the error.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, Untrusted) and isinstance(value.text, str):
        return value if type(value) is Untrusted and _encodable(value.text) else Untrusted(_encoded(value.text))
    if isinstance(value, str) and type(value) is str:
        return value if _encodable(value) else _encoded(value)
    try:
        tainted = _holds_untrusted(value, MAX_DEPTH)
        result = to_jsonable_python(value, inf_nan_mode="null")
        text = compact(result)
        if not _encodable(text):
            result = json.loads(_encoded(text))
            text = _encoded(text)
    except Exception as error:  # serializers of foreign classes raise anything
        first_line = (str(error).splitlines() or [""])[0]
        raise ActionFailed(
            f"{whose} returned a {type(value).__name__}, which cannot be said in JSON ({first_line}).",
            cure="Return text, numbers, lists, dictionaries, dataclasses or pydantic models.",
        ) from error
    return Untrusted(text) if tainted else result


def _encodable(text: str) -> bool:
    """Whether the text has no lone surrogate, which neither a database nor a platform can take."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encoded(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _holds_untrusted(value: Any, depth: int) -> bool:
    """Look for Untrusted wherever the conversion would look; raises ValueError where that is too deep."""
    if depth == 0:
        raise ValueError(f"nested over {MAX_DEPTH} deep")
    if isinstance(value, Untrusted):
        return True
    if value is None or isinstance(value, str | bytes | int | float):
        return False
    if isinstance(value, dict):
        return any(_holds_untrusted(item, depth - 1) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return any(_holds_untrusted(item, depth - 1) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return any(_holds_untrusted(getattr(value, name), depth - 1) for name in names)
    if hasattr(type(value), "model_fields"):
        return any(_holds_untrusted(getattr(value, name), depth - 1) for name in type(value).model_fields)
    return False
