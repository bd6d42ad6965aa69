"""What a JSON Schema says against a payload, in sentences written for the model that has to mend it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any, cast
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from pydantic import TypeAdapter
from referencing import Registry as SchemaRegistry

from core.contracts.json import Json, JsonObject, compact
from core.near_names import suggestion

MAX_COMPLAINTS = 5

_LOOKED_AT = 40
_VALUE_LIMIT = 60
_SENTENCE_LIMIT = 300
_PARSED = {"date-time": datetime, "date": date, "time": time, "duration": timedelta, "uuid": UUID}
_KINDS = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
}
_NAMES = {
    "string": "a string", "integer": "an integer", "number": "a number", "boolean": "true or false",
    "array": "an array", "object": "an object", "null": "null",
}  # fmt: skip
_LIMITS = {
    "minimum": "at least {}", "maximum": "at most {}",
    "exclusiveMinimum": "more than {}", "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters long", "maxLength": "at most {} characters long",
    "minItems": "a list of at least {} items", "maxItems": "a list of at most {} items",
    "minProperties": "an object of at least {} fields", "maxProperties": "an object of at most {} fields",
    "pattern": "text that matches {}", "format": "a {}",
}  # fmt: skip


def _formats() -> FormatChecker:
    """Check formats as the conversion into a handler's arguments will, but never take a bare number for a time."""
    checker = FormatChecker()
    checker.checkers = dict(Draft202012Validator.FORMAT_CHECKER.checkers)
    for name, kind in _PARSED.items():
        checker.checks(name, raises=ValueError)(_parses(TypeAdapter(kind)))
    return checker


def _parses(adapter: TypeAdapter[Any]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if not isinstance(value, str):
            return True
        if value.lstrip("+-").replace(".", "", 1).isdigit():
            return False
        adapter.validate_python(value)
        return True

    return check


class PayloadValidator:
    """A payload schema, compiled."""

    def __init__(self, schema: Mapping[str, Json]) -> None:
        """`schema` has been checked; a reference out of it would be an error here, never a request to a server."""
        # What is said of the payload as a whole comes before what is said of its fields, which may be a lot.
        schema = {key: schema[key] for key in sorted(schema, key=lambda key: key == "properties")}
        self._validator = Draft202012Validator(schema, format_checker=_FORMATS, registry=SchemaRegistry())

    def complaints(self, payload: JsonObject) -> list[str]:
        """Return a sentence for each thing that is wrong, at most five, outermost first."""
        try:
            errors = list(islice(self._validator.iter_errors(payload), _LOOKED_AT))
        except RecursionError:
            return ["The payload is nested too deeply."]
        if not errors:
            return []
        errors.sort(key=lambda error: len(error.absolute_path))
        sentences = dict.fromkeys(sentence for error in errors for sentence in _sentences(error))
        return [_cut(sentence, _SENTENCE_LIMIT) for sentence in islice(sentences, MAX_COMPLAINTS)]


def _sentences(error: ValidationError) -> list[str]:
    place = _place(error.absolute_path)
    limit: Any = error.validator_value
    rule: Any = error.validator
    value: Any = error.instance
    if rule == "required":
        schema = error.schema if isinstance(error.schema, Mapping) else {}
        properties = schema.get("properties", {})
        return [
            f"{_join(place, name)} is missing: {_expected(properties.get(name))}."
            for name in limit
            if name not in value
        ]
    if rule == "additionalProperties" and limit is False and isinstance(error.schema, Mapping):
        known = error.schema.get("properties", {})
        patterns = error.schema.get("patternProperties", {})
        extra = [name for name in value if name not in known and not any(re.search(p, name) for p in patterns)]
        return [
            f"{_join(place, _shown_key(name))} does not exist. {suggestion(name, known)}".strip() for name in extra
        ]
    subject = f"{place or 'The payload'} is {_shown(value)}"
    if rule == "type":
        kind = _KINDS.get(type(value), "null")
        return [
            f"{subject} ({kind}); it must be {_types(limit)}."
            if value is not None
            else f"{subject}; it must be {_types(limit)}."
        ]
    if rule == "enum":
        return [f"{subject}; it must be one of {', '.join(_shown(one) for one in limit[:20])}."]
    if rule == "const":
        return [f"{subject}; it must be {_shown(limit)}."]
    if rule in _LIMITS:
        return [f"{subject}; it must be {_LIMITS[rule].format(limit)}."]
    if rule == "uniqueItems":
        return [f"{subject}; its items must differ from each other."]
    if rule in ("anyOf", "oneOf") and error.context:
        return _of_branches(error, subject)
    return [f"{subject}: {error.message}."]


def _of_branches(error: ValidationError, subject: str) -> list[str]:
    """Say what is wrong with the branch that was meant, the one that the value's type fits; else name them all."""
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).append(inner)
    here = len(error.absolute_path)
    fitting = [
        inners
        for inners in branches.values()
        if not any(inner.validator == "type" and len(inner.absolute_path) == here for inner in inners)
    ]
    if len(fitting) == 1:
        return [sentence for inner in fitting[0] for sentence in _sentences(inner)]
    choices = dict.fromkeys(_expected(branch) for branch in cast(list[Json], error.validator_value))
    return [f"{subject}; it must be {' or '.join(choices)}."]


def _expected(schema: Json) -> str:
    """Return what a field takes, in a few words."""
    if not isinstance(schema, Mapping):
        return "any value"
    if "enum" in schema:
        return f"one of {', '.join(_shown(one) for one in schema['enum'][:20])}"
    if "const" in schema:
        return _shown(schema["const"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_expected(branch) for branch in schema["anyOf"]))
    words = _types(schema["type"]) if "type" in schema else "a value"
    bounds = [_LIMITS[key].format(schema[key]) for key in ("minimum", "maximum", "format") if key in schema]
    return f"{words}, {', '.join(bounds)}" if bounds else words


def _types(types: str | list[str]) -> str:
    names = [types] if isinstance(types, str) else types
    return " or ".join(_NAMES.get(name, name) for name in names)


def _place(path: Iterable[str | int]) -> str:
    place = ""
    for step in path:
        place = f"{place}[{step}]" if isinstance(step, int) else _join(place, _shown_key(step))
    return place


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _shown_key(name: str) -> str:
    return name if name.isidentifier() and len(name) <= _VALUE_LIMIT else _shown(name)


def _shown(value: Json) -> str:
    if isinstance(value, str | list | dict) and len(value) > 2 * _VALUE_LIMIT:
        value = value[:_VALUE_LIMIT] if isinstance(value, str) else type(value)()
        return f"{compact(value)[:-1]}…".encode("utf-8", "replace").decode()
    return _cut(compact(value), _VALUE_LIMIT)


def _cut(text: str, limit: int) -> str:
    text = text if len(text) <= limit else text[:limit] + "…"
    return text.encode("utf-8", "replace").decode()


_FORMATS = _formats()
