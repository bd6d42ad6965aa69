"""The JSON Schema of an action's payload: made from lists of fields, or taken whole and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry as SchemaRegistry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from core.contracts.json import Json, JsonObject, compact
from core.near_names import suggestion

TYPE_WORDS: Mapping[str, str] = {
    "string": "string", "str": "string", "text": "string",
    "integer": "integer", "int": "integer",
    "number": "number", "float": "number",
    "boolean": "boolean", "bool": "boolean",
    "array": "array", "list": "array",
    "object": "object", "dict": "object",
    "null": "null", "none": "null",
}  # fmt: skip
"""What people write as a type, and what JSON Schema calls it; "any" is every type."""

_KEYWORDS = {
    *("description", "default", "examples", "enum", "const", "format"),
    *("pattern", "minLength", "maxLength"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    *("properties", "additionalProperties", "minProperties", "maxProperties"),
    *("anyOf", "oneOf", "allOf", "not"),
}
_LIST_OF = re.compile(r"(?:list|array)\[(\w+)\]", re.IGNORECASE)
_COMBINING = ("$ref", "allOf", "anyOf", "oneOf", "if")


class SchemaMistake(Exception):
    """A payload's declaration is wrong: what, and the cure."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what)
        self.what, self.cure = what, cure


def from_fields(required: Json, optional: Json, described: Mapping[str, Json]) -> JsonObject:
    """Return the schema of fields that are declared as lists, or as dictionaries of field to its description.

    described: `payload` of the prompt instructions. Raises SchemaMistake.
    """
    required_fields = _named("required_fields", required)
    optional_fields = _named("optional_fields", optional)
    both = [name for name in required_fields if name in optional_fields]
    if both:
        raise SchemaMistake(f"{both[0]} is both required and optional", "Name it in one of the two.")
    fields = required_fields | optional_fields
    unknown = [name for name in described if name not in fields]
    if unknown:
        cure = f"Name it in required_fields or optional_fields, or leave it out. {suggestion(unknown[0], fields)}"
        raise SchemaMistake(
            f"the prompt instructions describe a field {unknown[0]} that is not declared", cure.strip()
        )
    return {
        "type": "object",
        "properties": {
            name: _field(name, described.get(name)) | _field(name, entry) for name, entry in fields.items()
        },
        "required": list(required_fields),
        "additionalProperties": False,
    }


def whole(given: Json, required: Json, optional: Json) -> JsonObject:
    """Return a schema that was given whole, refusing undeclared fields; raises SchemaMistake."""
    if not isinstance(given, Mapping):
        raise SchemaMistake(f"its schema is a {type(given).__name__}", "Write a JSON Schema of type object.")
    schema: JsonObject = dict(given)
    if schema.setdefault("type", "object") != "object":
        raise SchemaMistake(f"its schema is of type {schema['type']!r}", "A payload is an object: name its fields.")
    if "properties" not in schema and any(key in schema for key in _COMBINING):
        raise SchemaMistake("its schema has no properties of its own", "Name every field in properties.")
    schema.setdefault("properties", {})
    schema.setdefault("required", [])
    if schema.setdefault("additionalProperties", False) is not False:
        cure = "Say additionalProperties: false, and put what is free in a field of type object."
        raise SchemaMistake("its schema allows fields that are not declared", cure)
    _check(schema)
    for name in (*_named("required_fields", required), *_named("optional_fields", optional)):
        if name not in schema["properties"]:
            raise SchemaMistake(f"the field {name} is not in its schema", suggestion(name, schema["properties"]))
    for name in schema["required"]:
        if name not in schema["properties"]:
            raise SchemaMistake(f"its schema requires {name}, which is no property", "Add it to properties.")
    if required is not None and set(_named("required_fields", required)) != set(schema["required"]):
        raise SchemaMistake("required_fields and its schema's required are not the same", "Leave out one of them.")
    return schema


def checked(schema: JsonObject) -> JsonObject:
    """Return the schema; raises SchemaMistake when it is none."""
    _check(schema)
    return schema


def _check(schema: Mapping[str, Json]) -> None:
    try:
        text = compact(schema)
        known = json.loads(text) == schema
    except (TypeError, ValueError, RecursionError):
        known = False  # no JSON, which the check says better
    if known:
        _check_text(text)
    else:
        _check_anew(schema)


@lru_cache(maxsize=1024)
def _check_text(text: str) -> None:
    """Check a schema once, however often it is loaded: the check takes longer than all else about an action."""
    _check_anew(json.loads(text))


def _check_anew(schema: Mapping[str, Json]) -> None:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join(map(str, error.absolute_path)) or "the whole"
        cure = f"At {place}: {error.message.splitlines()[0][:200]}."
        raise SchemaMistake("its schema is no JSON Schema", cure) from error
    resource = DRAFT202012.create_resource(schema)
    resolver = SchemaRegistry().with_resource("", resource).resolver()
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            cure = 'References point into the schema itself, as "#/$defs/name".'
            raise SchemaMistake(f"its schema refers to {reference}, which is not there", cure) from error


def _references(node: Json) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _references(value)


def _named(key: str, fields: Json) -> dict[str, Json]:
    """Return the declared fields by name, with what is said of each (None in a list)."""
    if fields is None:
        return {}
    if isinstance(fields, str) or not isinstance(fields, Mapping | Sequence | set | frozenset):
        raise SchemaMistake(f"{key} is a {type(fields).__name__}", 'Write a list of names: ["sides"].')
    named: dict[str, Json] = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(fields)
    if isinstance(fields, set | frozenset):
        named = dict.fromkeys(sorted(fields, key=str))
    wrong = [name for name in named if not isinstance(name, str) or not name]
    if wrong:
        raise SchemaMistake(f"{key} holds {wrong[0]!r}, which is no name", 'Write a list of names: ["sides"].')
    return named


def _field(name: str, entry: Json) -> JsonObject:
    """Return what is said of one field as a schema: a type word, a description, or both and more in a dictionary."""
    if entry is None:
        return {}
    if isinstance(entry, type):
        entry = entry.__name__
    if isinstance(entry, str):
        known = entry.lower() in TYPE_WORDS or entry.lower() == "any" or _LIST_OF.fullmatch(entry)
        return _typed(name, entry) if known else {"description": entry}
    if not isinstance(entry, Mapping):
        raise SchemaMistake(
            f"the field {name} is described by a {type(entry).__name__}",
            'Write {"type": "string", "description": …}.',
        )
    schema = {key: value for key, value in entry.items() if key in _KEYWORDS}
    if isinstance(entry.get("description"), str) is False:
        schema.pop("description", None)
    return _typed(name, entry["type"]) | schema if "type" in entry else schema


def _typed(name: str, word: Any) -> JsonObject:
    if isinstance(word, type):
        word = word.__name__
    if isinstance(word, list | tuple):
        return {"type": [_typed(name, one).get("type", "string") for one in word]}
    text = str(word).strip().lower()
    if text == "any":
        return {}
    if listed := _LIST_OF.fullmatch(text):
        return {"type": "array", "items": _typed(name, listed[1])}
    if text not in TYPE_WORDS:
        cure = f"Use one of {', '.join(TYPE_WORDS)}, or give the whole schema."
        raise SchemaMistake(f"the field {name} is of type {word!r}, which is unknown", cure)
    return {"type": TYPE_WORDS[text]}
