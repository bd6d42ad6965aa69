"""A component's own keys of rekku.toml, checked against its `Config`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from pydantic import AliasChoices, BaseModel, SecretStr, ValidationError

from core.contracts.errors import ConfigurationError, DeclarationError
from core.contracts.json import Json
from core.registry.discovery import PACKAGES
from core.registry.near_names import suggestion


class ComponentTable(Protocol):
    """What the settings say of one component.

    values: its own keys, expanded. error: why they cannot be used (a missing variable, say), or "". priority: where
    its hooks stand among those of others, in place of what it declares itself; None leaves them there. isolation:
    "process" or "none"; None leaves it to the plugin.
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
    def isolation(self) -> str | None: ...


def read_config(kind: str, name: str, component: object, table: ComponentTable) -> BaseModel | None:
    """Return an instance of the component's `Config`, or None where it has none.

    Raises ConfigurationError that names each key by its place, as "[plugins.dice] max_sides", and never quotes a
    value; DeclarationError for a `Config` that is no pydantic model.
    """
    section = f"[{PACKAGES[kind]}.{name}]"
    if table.error:
        raise ConfigurationError(table.error if section in table.error else f"{section} {table.error}")
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
    try:
        return model.model_validate(dict(table.values))
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


def _said(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")


def _keys(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names under which the fields can be given."""
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        aliases = alias.choices if isinstance(alias, AliasChoices) else [alias] if alias is not None else []
        yield from (one if isinstance(one, str) else str(one.path[0]) for one in aliases)
        if not aliases or by_name:
            yield name
