"""A tool's `inputSchema` as the schema of a payload: closed, bounded and sayable in every strict mode. Pure.

What a schema demands beyond that is left out (patterns above all, which could be made to take for ever): the server
checks its arguments itself. A field that cannot be said (a free-form object, a schema that contains itself) becomes
a text that holds JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.contracts.json import Json, JsonObject
from plugins.mcp.foreign_text import LONGEST_FIELD, one_line

LARGEST_SCHEMA = 32 * 1024
MOST_FIELDS = 64
MOST_NODES = 400
MOST_CHOICES = 100
DEEPEST = 5
"""Objects and arrays inside each other, below the payload."""

SCALARS = ("string", "integer", "number", "boolean", "null")
_FIELD = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$-]{0,63}")
_FORMAT = re.compile(r"[a-z-]{1,30}")
_NUMBERS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "minItems", "maxItems"),
)


class SchemaUnusable(Exception):
    """A tool whose arguments cannot be offered, and why."""


class _CannotSay(Exception):
    """A field that no strict schema has words for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """schema: of the payload. as_json: the fields whose text is the JSON of the argument."""

    schema: JsonObject
    as_json: frozenset[str]

    def of(self, payload: Mapping[str, Json]) -> JsonObject:
        """Return the arguments that a payload stands for; raises ValueError naming the field that is no JSON."""
        arguments: JsonObject = {}
        for name, value in payload.items():
            if name in self.as_json and isinstance(value, str):
                try:
                    value = json.loads(value)
                except ValueError as error:
                    raise ValueError(f"{name} must be JSON ({error}).") from None
            arguments[name] = value
        return arguments


def arguments_of(given: Any) -> Arguments:
    """Return how a tool is called; raises SchemaUnusable."""
    if not isinstance(given, Mapping) or given.get("type", "object") != "object":
        raise SchemaUnusable("its arguments are no object")
    try:
        size = len(json.dumps(given, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        raise SchemaUnusable("its schema is no JSON") from None
    if size > LARGEST_SCHEMA:
        raise SchemaUnusable(f"its schema has {size} characters, {LARGEST_SCHEMA} are the most")
    properties = given.get("properties") or {}
    if not isinstance(properties, Mapping) or len(properties) > MOST_FIELDS:
        raise SchemaUnusable(f"its properties are none, or more than {MOST_FIELDS}")
    required = given.get("required") or []
    if not isinstance(required, list) or any(name not in properties for name in required):
        raise SchemaUnusable("it requires what is no property")
    fields: JsonObject = {}
    as_json = set()
    plain = _Plain(given)
    for name, schema in properties.items():
        if not isinstance(name, str) or not _FIELD.fullmatch(name):
            raise SchemaUnusable(f"{one_line(name, 40)!r} is no name of a field")
        try:
            fields[name] = plain.of(schema, DEEPEST)
        except _CannotSay:
            fields[name] = _json_text(schema)
            as_json.add(name)
    return Arguments(
        schema={
            "type": "object",
            "properties": fields,
            "required": list(dict.fromkeys(required)),
            "additionalProperties": False,
        },
        as_json=frozenset(as_json),
    )


def _json_text(schema: Any) -> JsonObject:
    said = schema.get("description") if isinstance(schema, Mapping) else ""
    text = one_line(said, LONGEST_FIELD) if isinstance(said, str) else ""
    return {"type": "string", "description": f"{text} (as JSON text)".strip()}


class _Plain:
    """Copies what can be said, references written out; raises _CannotSay."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def of(self, schema: Any, depth: int, inside: tuple[str, ...] = ()) -> JsonObject:
        self._nodes += 1
        if depth < 0 or self._nodes > MOST_NODES or not isinstance(schema, Mapping):
            raise _CannotSay
        if "$ref" in schema:
            return self._referred(schema, depth, inside)
        all_of = schema.get("allOf")
        if isinstance(all_of, list) and len(all_of) == 1 and isinstance(all_of[0], Mapping):
            schema = {**all_of[0], **{key: value for key, value in schema.items() if key != "allOf"}}
            return self.of(schema, depth, inside)
        if any(
            key in schema for key in ("allOf", "not", "if", "prefixItems", "patternProperties", "dependentSchemas")
        ):
            raise _CannotSay
        result = self._body(schema, depth, inside)
        said = schema.get("description")
        if isinstance(said, str) and (text := one_line(said, LONGEST_FIELD)):
            result["description"] = text
        return result

    def _referred(self, schema: Mapping[str, Any], depth: int, inside: tuple[str, ...]) -> JsonObject:
        reference = schema["$ref"]
        if not isinstance(reference, str) or not reference.startswith("#/") or reference in inside:
            raise _CannotSay
        target: Any = self._root
        for step in reference[2:].split("/"):
            target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
        if not isinstance(target, Mapping):
            raise _CannotSay
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return self.of({**target, **beside}, depth, (*inside, reference))

    def _body(self, schema: Mapping[str, Any], depth: int, inside: tuple[str, ...]) -> JsonObject:
        if "enum" in schema or "const" in schema:
            return {"enum": _choices(schema["enum"] if "enum" in schema else [schema["const"]])}
        alternatives = schema.get("anyOf", schema.get("oneOf"))
        if alternatives is not None and "type" not in schema:
            if not isinstance(alternatives, list) or not alternatives:
                raise _CannotSay
            return {"anyOf": [self.of(one, depth, inside) for one in alternatives]}
        type_ = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(type_, list):
            if not type_ or any(name not in SCALARS for name in type_):
                raise _CannotSay
            return {"type": list(dict.fromkeys(type_)), **_limits(schema)}
        if type_ == "object":
            return self._members(schema, depth, inside)
        if type_ == "array":
            return {"type": "array", "items": self.of(schema.get("items"), depth - 1, inside), **_limits(schema)}
        if type_ not in SCALARS:
            raise _CannotSay
        return {"type": type_, **_limits(schema)}

    def _members(self, schema: Mapping[str, Any], depth: int, inside: tuple[str, ...]) -> JsonObject:
        properties = schema.get("properties")
        required = schema.get("required") or []
        free = schema.get("additionalProperties", not properties)
        if not isinstance(properties, Mapping) or free is not False or not isinstance(required, list):
            raise _CannotSay
        if len(properties) > MOST_FIELDS or any(name not in properties for name in required):
            raise _CannotSay
        if not all(isinstance(name, str) and _FIELD.fullmatch(name) for name in properties):
            raise _CannotSay
        return {
            "type": "object",
            "properties": {name: self.of(field, depth - 1, inside) for name, field in properties.items()},
            "required": list(dict.fromkeys(required)),
            "additionalProperties": False,
        }


def _choices(values: Any) -> list[Json]:
    if not isinstance(values, list) or not 0 < len(values) <= MOST_CHOICES:
        raise _CannotSay
    for value in values:
        is_text = isinstance(value, str) and len(value) <= LONGEST_FIELD and value.isprintable()
        if not (is_text or value is None or isinstance(value, bool | int | float)):
            raise _CannotSay
    return list(values)


def _limits(schema: Mapping[str, Any]) -> JsonObject:
    limits: JsonObject = {}
    for key in _NUMBERS:
        value = schema.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
            limits[key] = value
    if "multipleOf" in limits and limits["multipleOf"] <= 0:
        del limits["multipleOf"]
    if isinstance(schema.get("format"), str) and _FORMAT.fullmatch(schema["format"]):
        limits["format"] = schema["format"]
    return limits
