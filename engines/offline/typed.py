"""`type key=value key="two words"`: any action of the catalogue, written out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.contracts.actions import ActionSpec
from core.contracts.json import JsonObject
from engines.offline.values import MISSING, FieldType

MAX_TYPED_CHARS = 200_000
"""Longer than the longest message, and read in linear time."""

_KEY = re.compile(r"\s*+([^\W\d]\w*+)=")
_DOUBLE_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_SINGLE_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*+)'", re.DOTALL)
_BARE = re.compile(r"\S++")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t"}
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedAction:
    """An action as it was written out; `mistake` says what is wrong with it, or is empty."""

    spec: ActionSpec
    payload: JsonObject
    mistake: str = ""


def read_typed(text: str, actions: Iterable[ActionSpec]) -> TypedAction | None:
    """Return the action that `text` writes out, or None when it is not of that form.

    It is of that form when its first word is an action's type and the rest is empty or begins with `key=`.
    """
    if len(text) > MAX_TYPED_CHARS:
        return None
    rest = "".join(text.split(maxsplit=1)[1:])
    spec = find_type(text, actions)
    if spec is None or (rest and not _KEY.match(rest)):
        return None
    try:
        payload = _read_pairs(rest, spec)
    except ValueError as error:
        return TypedAction(spec=spec, payload={}, mistake=str(error))
    missing = [name for name in spec.required if name not in payload]
    if missing:
        return TypedAction(spec=spec, payload=payload, mistake=f"{' and '.join(missing)} must be given.")
    return TypedAction(spec=spec, payload=payload)


def find_type(text: str, actions: Iterable[ActionSpec]) -> ActionSpec | None:
    """Return the action whose type is the first word of `text`."""
    first = "".join(text.split(maxsplit=1)[:1]).casefold()
    return next((spec for spec in actions if spec.type.casefold() == first), None)


def write_typed(type_: str, payload: JsonObject) -> str:
    """Return the action written out, so that `read_typed` reads it."""
    pairs = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in payload.items()]
    return " ".join([type_, *pairs])


def usage(spec: ActionSpec) -> str:
    """Return such as `roll_dice sides=<integer> [count=<integer>]`, with optional fields in brackets."""
    fields = []
    for name, field in spec.fields.items():
        pair = f"{name}=<{FieldType(field, spec.schema).describe()}>"
        fields.append(pair if name in spec.required else f"[{pair}]")
    return " ".join([spec.type, *fields])


def _read_pairs(text: str, spec: ActionSpec) -> JsonObject:
    """Return the pairs; raises ValueError with a sentence for a person."""
    payload: JsonObject = {}
    place = 0
    while text[place:].strip():
        key = _KEY.match(text, place)
        if key is None:
            raise ValueError("after each field comes the next `key=`: put quotes around values of several words.")
        name = key[1]
        if name not in spec.fields:
            raise ValueError(f"there is no field `{name}`.")
        if name in payload:
            raise ValueError(f"`{name}` is given twice.")
        written, quoted, place = _read_value(text, key.end())
        if place < len(text) and not text[place].isspace():
            raise ValueError(f"there must be a space behind the value of `{name}`.")
        field_type = FieldType(spec.fields[name], spec.schema)
        value = written if quoted and field_type.is_text else field_type.read(written)
        if value is MISSING:
            raise ValueError(f"`{name}` must be {field_type.describe()}.")
        payload[name] = value
    return payload


def _read_value(text: str, place: int) -> tuple[str, bool, int]:
    """Return the value's text, whether it stood in quotes, and where it ends."""
    for quoted in (_DOUBLE_QUOTED, _SINGLE_QUOTED):
        match = quoted.match(text, place)
        if match:
            return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), match[1]), True, match.end()
    if text[place : place + 1] in ("[", "{"):
        try:
            _, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            raise ValueError("a value that begins with [ or { must be JSON.") from error
        return text[place:end], False, end
    match = _BARE.match(text, place)
    if match is None or match[0][0] in "\"'":
        raise ValueError("a quote is not closed, or a value is missing behind `=`.")
    return match[0], False, match.end()
