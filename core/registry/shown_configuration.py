"""What a component can be set to, in words: type, default, bounds, and what is in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from core.contracts.json import Json, JsonObject

MASKED = "set"
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches {}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """One key.

    type: in words. default: None where the key must be given. value: in force; None where it is not known.
    origin: "default", or where the value came from. A secret is shown as "set".
    """

    key: str
    type: str
    required: bool
    default: Json
    value: Json
    origin: str
    constraint: str
    description: str

    def as_json(self) -> JsonObject:
        """Return it for programs."""
        return {name: getattr(self, name) for name in self.__slots__}


def shown_keys(
    model: type[BaseModel], config: BaseModel | None, given: Mapping[str, str], is_secret: Any
) -> Iterator[ShownKey]:
    """Yield the keys of a component's `Config`, in its order.

    config: what is in force, None when it could not be read. given: where each key that was set came from, by key.
    is_secret: tells of a key's name whether it holds a secret by convention.
    """
    schema = model.model_json_schema()
    shared: JsonObject = schema.get("$defs", {})
    for name, field in model.model_fields.items():
        alias = field.validation_alias if isinstance(field.validation_alias, str) else field.alias
        key = alias or name
        own: JsonObject = schema.get("properties", {}).get(key) or schema.get("properties", {}).get(name) or {}
        secret = bool(is_secret(key)) or own.get("format") == "password" or "SecretStr" in str(field.annotation)
        default = None if field.is_required() else _default(field)
        value = None if config is None else getattr(config, name)
        yield ShownKey(
            key=key,
            type=_type(own, shared),
            required=field.is_required(),
            default=_shown(default, secret=secret),
            value=_shown(value, secret=secret),
            origin=given.get(key, "default"),
            constraint=_constraint(own),
            description=(field.description or "").strip(),
        )


def _default(field: Any) -> Any:
    if field.default is not PydanticUndefined:
        return field.default
    return field.default_factory() if field.default_factory is not None else None


def _shown(value: Any, *, secret: bool) -> Json:
    """Return a value as JSON, with everything secret in it masked."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if secret or isinstance(value, SecretStr):
        return MASKED if str(value) else ""
    if isinstance(value, BaseModel):
        return {name: _shown(getattr(value, name), secret=False) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): _shown(item, secret=False) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(item, secret=False) for item in value]
    return str(value)


def _type(schema: JsonObject, shared: JsonObject) -> str:
    if "$ref" in schema:
        return _type(shared.get(str(schema["$ref"]).rpartition("/")[2], {}), shared)
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one, shared) for one in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), shared)}"
    return {"null": "nothing"}.get(str(schema.get("type")), str(schema.get("type", "any")))


def _constraint(schema: JsonObject) -> str:
    found = [schema, *schema.get("anyOf", ())]
    words = (text.format(one[name]) for one in found for name, text in _BOUNDS.items() if name in one)
    return ", ".join(dict.fromkeys(words))
