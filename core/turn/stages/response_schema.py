"""From the catalogue to a strict JSON Schema of a reply, for servers that enforce one; pure.

The result keeps to what every server's strict mode takes: objects that list all their fields as required and refuse
others, arrays, scalars, `enum`, `anyOf` and `description`. An optional field is one that may be null. What else a
schema demands (lengths, ranges, patterns) is put into words in the description; validation checks it in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.contracts.actions import ActionSpec
from core.contracts.json import Json, JsonObject

MAX_DEPTH = 10
"""The objects and arrays that OpenAI's strict mode lets stand inside each other."""

MAX_NODES = 2_000
"""The schemas inside one payload once its references are written out."""

UNLISTED = "x-unlisted"
"""A key of a field's schema: it may be given, and costs no room here. Only for what is rarely wanted."""

LONG_TEXT = 100
"""Characters from which on the largest length of a text is not worth a word."""

DEPTH_OF_PAYLOAD = 4
"""The reply, its list of actions, an action, its payload."""

SCALARS = ("string", "integer", "number", "boolean", "null")

HINTS = (
    ("format", "{}"),
    ("pattern", "matches {}"),
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("multipleOf", "a multiple of {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
)


class _CannotSay(Exception):
    """A schema that strict mode has no words for."""


def response_schema(specs: Sequence[ActionSpec]) -> JsonObject | None:
    """Return the schema of `{"actions": [{"type", "payload"}]}` over these actions, in their order.

    None where it cannot be said: no actions, or a payload with free-form objects, untyped values, tuples, or
    schemas that contain themselves. The same specs give the same schema, key order included.
    """
    try:
        variants = [_variant(spec) for spec in specs]
    except _CannotSay:
        return None
    return _object({"actions": {"type": "array", "items": {"anyOf": variants}}}) if variants else None


def _variant(spec: ActionSpec) -> JsonObject:
    definitions = spec.schema.get("$defs", {})
    payload = _Strict(definitions).convert(spec.schema, depth=DEPTH_OF_PAYLOAD)
    payload.pop("description", None)
    return _object({"type": {"type": "string", "enum": [spec.type]}, "payload": payload})


def _object(properties: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


class _Strict:
    """Converts schemas that share the definitions of one payload; raises _CannotSay."""

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        self._definitions = definitions
        self._open: list[str] = []
        self._nodes = 0

    def convert(self, schema: Json, *, depth: int) -> JsonObject:
        """Return the strict form of `schema`, which stands `depth` objects and arrays deep."""
        self._nodes += 1
        if not isinstance(schema, Mapping) or self._nodes > MAX_NODES:
            raise _CannotSay
        opened = len(self._open)
        schema = self._resolved(schema)
        result = self._body(schema, depth)
        del self._open[opened:]
        description = _description(schema)
        if description:
            inner = result.get("description")
            result["description"] = f"{description} ({inner})" if inner else description
        return result

    def _resolved(self, schema: Mapping[str, Json]) -> Mapping[str, Json]:
        """Put what `$ref`, or an `allOf` of one, stands for in its place; what stands beside it wins."""
        for _ in range(MAX_DEPTH):
            if "$ref" in schema:
                prefix, _, name = str(schema["$ref"]).rpartition("/")
                target = self._definitions.get(name) if prefix == "#/$defs" and name not in self._open else None
                self._open.append(name)
                beside = {key: value for key, value in schema.items() if key != "$ref"}
            elif isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
                target = schema["allOf"][0]
                beside = {key: value for key, value in schema.items() if key != "allOf"}
            else:
                return schema
            if not isinstance(target, Mapping):
                raise _CannotSay
            schema = {**target, **beside}
        raise _CannotSay

    def _body(self, schema: Mapping[str, Json], depth: int) -> JsonObject:
        if "allOf" in schema:
            raise _CannotSay
        if "enum" in schema or "const" in schema:
            return _enumeration(schema["enum"] if "enum" in schema else [schema["const"]])
        type_ = schema.get("type")
        alternatives = schema.get("anyOf", schema.get("oneOf"))
        if alternatives and type_ is None:
            return _merged([self.convert(alternative, depth=depth) for alternative in alternatives])
        if isinstance(type_, list):
            if all(name in SCALARS for name in type_) and type_:
                return {"type": list(type_)}
            bare = {key: value for key, value in schema.items() if key != "description"}
            return {"anyOf": [self._body({**bare, "type": name}, depth) for name in type_]}
        if depth > MAX_DEPTH and type_ in ("object", "array"):
            raise _CannotSay
        if type_ == "object":
            return self._members(schema, depth)
        if type_ == "array":
            if "prefixItems" in schema or "items" not in schema:
                raise _CannotSay
            return {"type": "array", "items": self.convert(schema["items"], depth=depth + 1)}
        if type_ in SCALARS:
            return {"type": type_}
        raise _CannotSay

    def _members(self, schema: Mapping[str, Json], depth: int) -> JsonObject:
        properties = schema.get("properties", {})
        # Without a word about other fields, an object with fields is meant to have just those; one without is free.
        others = schema.get("additionalProperties", not properties)
        if others is not False or "patternProperties" in schema:
            raise _CannotSay
        required = schema.get("required", ())
        if any(name not in properties for name in required):
            raise _CannotSay
        members: JsonObject = {}
        for name, field in properties.items():
            if name not in required and isinstance(field, Mapping) and field.get(UNLISTED) is True:
                continue
            strict = self.convert(field, depth=depth + 1)
            members[name] = strict if name in required else _nullable(strict)
        return _object(members)


def _merged(alternatives: list[JsonObject]) -> JsonObject:
    """Return the alternatives in one schema: bare scalars as a list of types, which is shorter."""
    if not all(set(one) <= {"type", "description"} and one.get("type") in SCALARS for one in alternatives):
        return {"anyOf": alternatives}
    merged: JsonObject = {"type": list(dict.fromkeys(one["type"] for one in alternatives))}
    described = [one["description"] for one in alternatives if "description" in one]
    if described:
        merged["description"] = ", ".join(described)
    return merged


def _enumeration(values: list[Json]) -> JsonObject:
    types = list(dict.fromkeys(_type_of(value) for value in values))
    if not types:
        raise _CannotSay
    return {"type": types[0] if len(types) == 1 else types, "enum": list(values)}


def _type_of(value: Json) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, kind):
            return name
    raise _CannotSay


def _nullable(schema: JsonObject) -> JsonObject:
    """Return `schema` with null for the absence of the field."""
    type_ = schema.get("type")
    if "anyOf" in schema:
        if any(_takes_null(alternative) for alternative in schema["anyOf"]):
            return schema
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if _takes_null(schema):
        return schema
    if type_ in ("object", "array"):
        alternative = {key: value for key, value in schema.items() if key != "description"}
        described = {"description": schema["description"]} if "description" in schema else {}
        return {"anyOf": [alternative, {"type": "null"}], **described}
    result = {**schema, "type": [*type_, "null"] if isinstance(type_, list) else [type_, "null"]}
    if "enum" in schema:
        result["enum"] = [*schema["enum"], None]
    return result


def _takes_null(schema: Mapping[str, Json]) -> bool:
    type_ = schema.get("type")
    return type_ == "null" or (isinstance(type_, list) and "null" in type_)


def _matters(key: str, limit: Json) -> bool:
    """Whether a model has to be told of a limit: not that a text has something in it, or is no book."""
    return not (key == "minLength" and limit == 1) and not (key == "maxLength" and limit >= LONG_TEXT)


def _description(schema: Mapping[str, Json]) -> str:
    """Return the field's own description and, in words, the limits that strict mode cannot state."""
    own = schema.get("description")
    hints = ", ".join(
        words.format(schema[key]) for key, words in HINTS if key in schema and _matters(key, schema[key])
    )
    text = own if isinstance(own, str) else ""
    return f"{text} ({hints})" if text and hints else text or hints
