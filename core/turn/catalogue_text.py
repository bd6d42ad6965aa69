"""The actions in words, for the prompt: stable, so that a provider's prompt cache hits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from core.contracts.actions import ActionSpec
from core.contracts.json import Json, JsonObject, compact
from core.contracts.prompts import CatalogueBudget, CatalogueTexts
from core.turn.share_catalogue import share_out
from core.turn.stages.response_schema import UNLISTED, response_schema

HEADING = "Actions:"
EMPTY_SCHEMA = 170
"""About what the schema of a reply takes beside those of its actions, in bytes."""


def describe(specs: Sequence[ActionSpec], budget: CatalogueBudget, described: Collection[str] = ()) -> CatalogueTexts:
    """Return what the model is told of these actions, sorted by type where they are told whole.

    described: the actions that this turn has asked about: they are in its steps, and in the schema from then on.
    """
    shares = share_out(specs, _cost, budget.room, budget.whole)
    whole = {spec.type for spec in shares.whole}
    told = tuple(sorted(shares.whole, key=_by_type))
    usable = sorted((s for s in specs if s.type in whole or s.type in described), key=_by_type)
    listed = specs if shares.rest else shares.whole
    return CatalogueTexts(
        specs=tuple(sorted(listed, key=_by_type)),
        full="\n".join([HEADING, *map(whole_text, told), *shares.rest]),
        brief="\n".join([HEADING, *map(_brief, told), *shares.rest]),
        schema=response_schema(usable),
        untold={spec.type: whole_text(spec) for spec in listed if spec.type not in whole},
    )


def _cost(spec: ActionSpec) -> int:
    """Return the bytes of an action that is told whole, in words or in a schema, whichever is more."""
    schema = response_schema((spec,))
    beside_schema = len(f"{_brief(spec)}{compact(schema)}".encode()) - EMPTY_SCHEMA if schema else 0
    return max(len(whole_text(spec).encode()), beside_schema) + 1


def _by_type(spec: ActionSpec) -> str:
    return spec.type


def _brief(spec: ActionSpec) -> str:
    return f"{spec.type}: {spec.description}"


def whole_text(spec: ActionSpec) -> str:
    """Return the line that tells an action whole: what it does, and the fields of its payload."""
    listed = {n: s for n, s in spec.fields.items() if n in spec.required or s.get(UNLISTED) is not True}
    fields = "; ".join(_field(spec, name, schema) for name, schema in listed.items())
    return f"{spec.type}: {spec.description}" + (f" Payload: {fields}" if fields else " No payload.")


def _field(spec: ActionSpec, name: str, schema: Mapping[str, Json]) -> str:
    optional = "" if name in spec.required else "?"
    description = schema.get("description", "")
    return f"{name}{optional} {type_words(schema)}" + (f" ({description})" if description else "")


_LIMITS = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<", "pattern": "~"}


def type_words(schema: Mapping[str, Json]) -> str:
    """Return what a field takes, in a word or two: "integer ≥1 ≤20", "string"."""
    if "enum" in schema:
        return "|".join(compact(value) for value in schema["enum"])
    if "const" in schema:
        return compact(schema["const"])
    if "anyOf" in schema:
        return "|".join(type_words(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "$ref" in schema or "properties" in schema:
        return compact(_plain(schema))
    name = schema.get("type", "any")
    if name == "array":
        return f"[{type_words(schema.get('items', {}))}]"
    limits = "".join(f" {sign}{schema[key]}" for key, sign in _LIMITS.items() if key in schema)
    return f"{name}{limits}"


def _plain(schema: Mapping[str, Json]) -> JsonObject:
    return {key: value for key, value in schema.items() if key != "description"}
