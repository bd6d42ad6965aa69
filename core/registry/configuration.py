"""A component's own keys of rekku.toml, checked against its `Config`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, get_args

from pydantic import AliasChoices, BaseModel, SecretStr, ValidationError

from core.contracts.errors import ConfigurationError, DeclarationError
from core.contracts.json import Json
from core.near_names import suggestion
from core.registry.discovery import PACKAGES


class ComponentTable(Protocol):
    """What the settings say of one component.

    values: its own keys, expanded. error: why they cannot be used (a missing variable, say), or "". priority: where
    its hooks stand among those of others, in place of what it declares itself; None leaves them there. events: what
    holds for its event handlers, by pattern or method. isolation: "process" or "none"; None leaves it to the plugin.
    """

    @property
    def values(self) -> Mapping[str, Json]: ...
    @property
    def error(self) -> str: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def priority(self) -> int | None: ...
    @property
    def events(self) -> Mapping[str, Json]: ...
    @property
    def isolation(self) -> str | None: ...


def read_config(kind: str, name: str, component: object, table: ComponentTable) -> BaseModel | None:
    """Return an instance of the component's `Config`, or None where it has none.

    Raises ConfigurationError that names each key by its place, as "[plugins.dice] max_sides", and never quotes a
    value; DeclarationError for a `Config` that is no pydantic model.
    """
    section = f"[{PACKAGES[kind]}.{name}]"
    if table.error:
        told = section in table.error or f"{section[:-1]}." in table.error
        raise ConfigurationError(table.error if told else f"{section} {table.error}")
    model: Any = getattr(component, "Config", None)
    if model is None:
        if table.values:
            raise ConfigurationError(f"{section} {next(iter(table.values))}: {name} has no settings.")
        return None
    if not isinstance(model, type) or not issubclass(model, BaseModel):
        raise DeclarationError(f"{name}.Config is no pydantic model.", cure="Write class Config(BaseModel).")
    if model.model_config.get("extra") != "allow":
        known = set(_keys(model))
        for key in table.values:
            if key not in known:
                cure = suggestion(key, known) or "It has no settings."
                raise ConfigurationError(f"{section} {key}: there is no such setting.", cure=cure)
    values, wrong = _with_strict_booleans(model, table.values)
    if wrong:
        raise ConfigurationError(" ".join(f"{section} {key}: must be true or false." for key in wrong[:5]))
    try:
        return model.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        sentences = [f"{section} {'.'.join(map(str, d['loc']))}: {_said(d['msg'])}." for d in details[:5]]
        raise ConfigurationError(" ".join(sentences)) from None


def secrets_of(value: object, place: str) -> Iterator[tuple[str, str]]:
    """Yield (place, value) of every SecretStr in a configuration, under whatever name it stands."""
    if isinstance(value, SecretStr):
        yield place, value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_of(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secrets_of(item, f"{place}.{key}")
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from secrets_of(item, place)


def _with_strict_booleans(model: type[BaseModel], given: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
    """Return the values, and the keys of booleans that are none: "yes" or 1 may be meant, and may be a mistake.

    The texts "true" and "false" count, since what `${VAR}` puts in is always a text.
    """
    values, wrong = dict(given), []
    for name, field in model.model_fields.items():
        if not _is_boolean(field.annotation):
            continue
        for key in (key for key in _keys_of(model, name) if key in values):
            value = values[key]
            if isinstance(value, str) and value.lower() in ("true", "false"):
                values[key] = value.lower() == "true"
            elif value is not None and not isinstance(value, bool):
                wrong.append(key)
    return values, wrong


def _is_boolean(annotation: object) -> bool:
    """Whether a field takes a boolean, or nothing, and no other type."""
    return {kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)} == {bool}


def _said(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")


def _keys(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names under which the fields can be given."""
    for name in model.model_fields:
        yield from _keys_of(model, name)


def _keys_of(model: type[BaseModel], name: str) -> Iterator[str]:
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    alias = model.model_fields[name].validation_alias
    aliases = alias.choices if isinstance(alias, AliasChoices) else [alias] if alias is not None else []
    yield from (one if isinstance(one, str) else str(one.path[0]) for one in aliases)
    if not aliases or by_name:
        yield name
