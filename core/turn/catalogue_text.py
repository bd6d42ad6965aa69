"""The actions in words, for the prompt: stable, so that a provider's prompt cache hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.contracts.actions import ActionSpec
from core.contracts.json import Json, JsonObject, compact
from core.contracts.prompts import CatalogueTexts
from core.turn.stages.response_schema import UNLISTED, response_schema

HEADING = "Actions:"


def describe(specs: Sequence[ActionSpec]) -> CatalogueTexts:
    """Return what the model is told of these actions, sorted by type."""
    ordered = tuple(sorted(specs, key=lambda spec: spec.type))
    full = "\n".join([HEADING, *(_whole(spec) for spec in ordered)])
    brief = "\n".join([HEADING, *(f"{spec.type}: {spec.description}" for spec in ordered)])
    return CatalogueTexts(specs=ordered, full=full, brief=brief, schema=response_schema(ordered))


def _whole(spec: ActionSpec) -> str:
    listed = {n: s for n, s in spec.fields.items() if n in spec.required or s.get(UNLISTED) is not True}
    fields = "; ".join(_field(spec, name, schema) for name, schema in listed.items())
    return f"{spec.type}: {spec.description}" + (f" Payload: {fields}" if fields else " No payload.")


def _field(spec: ActionSpec, name: str, schema: Mapping[str, Json]) -> str:
    optional = "" if name in spec.required else "?"
    description = schema.get("description", "")
    return f"{name}{optional} {_type(schema)}" + (f" ({description})" if description else "")


_LIMITS = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<", "pattern": "~"}


def _type(schema: Mapping[str, Json]) -> str:
    if "enum" in schema:
        return "|".join(compact(value) for value in schema["enum"])
    if "const" in schema:
        return compact(schema["const"])
    if "anyOf" in schema:
        return "|".join(_type(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "$ref" in schema or "properties" in schema:
        return compact(_plain(schema))
    name = schema.get("type", "any")
    if name == "array":
        return f"[{_type(schema.get('items', {}))}]"
    limits = "".join(f" {sign}{schema[key]}" for key, sign in _LIMITS.items() if key in schema)
    return f"{name}{limits}"


def _plain(schema: Mapping[str, Json]) -> JsonObject:
    return {key: value for key, value in schema.items() if key != "description"}
