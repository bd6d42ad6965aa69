"""`null` for an optional field is its absence: drops it from a payload, guided by the action's JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping

from core.contracts.json import Json, JsonObject
from core.turn.reading.places import Path

_MAX_HOPS = 8
"""How far references and alternatives are followed in a schema; bounds schemas that refer to themselves."""


def without_absent(payload: JsonObject, schema: Mapping[str, Json]) -> tuple[JsonObject, tuple[Path, ...]]:
    """Return the payload without the fields that are `null` for absence, and the paths of those.

    A field is dropped where its object's schema declares it, does not require it and does not accept `null` for it;
    where the schema accepts `null`, that is a value and stays. Goes into objects and lists as far as the schema
    tells which one is meant: not where several alternatives are objects. The payload itself is not changed.
    """
    dropped: list[Path] = []
    cleaned = _clean(payload, schema, schema, (), dropped)
    return (cleaned if dropped else payload), tuple(dropped)


def _clean(value: Json, schema: Json, root: Mapping[str, Json], path: Path, dropped: list[Path]) -> Json:
    if isinstance(value, dict):
        shape = _shape_of(schema, root, "object")
        fields, rest = shape.get("properties", {}), shape.get("additionalProperties")
        required = shape.get("required", ())
        kept: JsonObject = {}
        for key, item in value.items():
            here = (*path, key)
            if item is None and key in fields and key not in required and not _accepts_null(fields[key], root):
                dropped.append(here)
            else:
                kept[key] = _clean(item, fields.get(key, rest), root, here, dropped)
        return kept
    if isinstance(value, list):
        items = _shape_of(schema, root, "array").get("items")
        return [_clean(item, items, root, (*path, index), dropped) for index, item in enumerate(value)]
    return value


def _shape_of(schema: Json, root: Mapping[str, Json], kind: str) -> Mapping[str, Json]:
    """Return the one schema that describes objects ("object") or lists ("array") here, {} where none or more do."""
    shapes = _shapes(schema, root, kind, _MAX_HOPS)
    return shapes[0] if len(shapes) == 1 else {}


def _shapes(schema: Json, root: Mapping[str, Json], kind: str, hops: int) -> list[Mapping[str, Json]]:
    if not isinstance(schema, Mapping) or not hops:
        return []
    own = ("properties", "additionalProperties") if kind == "object" else ("items",)
    shapes = [schema] if any(isinstance(schema.get(word), Mapping) for word in own) else []
    inner = [_target(schema["$ref"], root)] if "$ref" in schema else []
    for word in ("anyOf", "oneOf", "allOf"):
        inner.extend(schema.get(word, ()))
    for alternative in inner:
        shapes.extend(_shapes(alternative, root, kind, hops - 1))
    return shapes


def _accepts_null(schema: Json, root: Mapping[str, Json], hops: int = _MAX_HOPS) -> bool:
    """Whether `null` is a value of a field; True in doubt, so that validation has the say."""
    if not isinstance(schema, Mapping):
        return schema is not False
    if not hops:
        return True
    kinds = schema.get("type", "null")
    checks = [
        "null" in ([kinds] if isinstance(kinds, str) else kinds),
        None in schema.get("enum", (None,)),
        schema.get("const") is None,
    ]
    if "$ref" in schema:
        checks.append(_accepts_null(_target(schema["$ref"], root), root, hops - 1))
    for word in ("anyOf", "oneOf"):
        if word in schema:
            checks.append(any(_accepts_null(one, root, hops - 1) for one in schema[word]))
    checks.extend(_accepts_null(one, root, hops - 1) for one in schema.get("allOf", ()))
    return all(checks)


def _target(reference: Json, root: Mapping[str, Json]) -> Json:
    """Return what a reference within the schema (`#/$defs/Name`) points at; True, which accepts all, elsewhere."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return True
    target: Json = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or name not in target:
            return True
        target = target[name]
    return target
