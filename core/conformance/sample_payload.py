"""A payload that a schema takes, made from the schema alone."""

from __future__ import annotations

from collections.abc import Mapping

from core.contracts.actions import ActionSpec
from core.contracts.json import Json, JsonObject

_FORMATS = {
    "date-time": "2026-11-20T17:37:00+00:00",
    "date": "2026-11-20",
    "time": "17:37:00",
    "duration": "PT1H",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "email": "somebody@example.org",
    "uri": "https://example.org/",
}
_DEEPEST = 6


class NoSample(Exception):
    """A schema asks for something that cannot be made up (a pattern, say)."""


def sample_payload(spec: ActionSpec, *, whole: bool = False) -> JsonObject:
    """Return a payload with the required fields, or with all; raises NoSample."""
    definitions = spec.schema.get("$defs", {})
    return {
        name: sample_value(schema, definitions)
        for name, schema in spec.fields.items()
        if whole or name in spec.required
    }


def sample_value(schema: Mapping[str, Json], definitions: Mapping[str, Json], depth: int = 0) -> Json:
    """Return a value that a schema takes; raises NoSample."""
    if depth > _DEEPEST:
        raise NoSample("nested too deeply")
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("default") is not None:
        return schema["default"]
    if "$ref" in schema:
        return sample_value(definitions[schema["$ref"].rpartition("/")[2]], definitions, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            choices = [one for one in schema[key] if one.get("type") != "null"]
            return sample_value(choices[0], definitions, depth + 1) if choices else None
    if "pattern" in schema:
        raise NoSample(f"the pattern {schema['pattern']}")
    match schema.get("type"):
        case "string":
            return _text(schema)
        case "integer":
            return int(_number(schema, 1))
        case "number":
            return _number(schema, 1.0)
        case "boolean":
            return True
        case "array":
            items = schema.get("items", {"type": "string"})
            return [sample_value(items, definitions, depth + 1) for _ in range(max(schema.get("minItems", 1), 1))]
        case "object":
            return {
                name: sample_value(inner, definitions, depth + 1)
                for name, inner in schema.get("properties", {}).items()
                if name in schema.get("required", ())
            }
        case "null":
            return None
    return "example"


def _text(schema: Mapping[str, Json]) -> str:
    text = _FORMATS.get(str(schema.get("format", "")), "example")
    text += "x" * max(int(schema.get("minLength", 0)) - len(text), 0)
    return text[: int(schema.get("maxLength", len(text)))]


def _number(schema: Mapping[str, Json], step: float) -> float:
    low = schema.get("minimum")
    if low is None and "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    high = schema.get("maximum")
    if high is None and "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    if low is not None:
        number: float = low
    else:
        number = min(step * 2, high) if high is not None else step * 2
    multiple = schema.get("multipleOf")
    if multiple:
        number = multiple * -(-number // multiple)
    return number
