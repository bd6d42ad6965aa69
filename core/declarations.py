"""From a decorated method to an action's declaration: name, description and JSON Schema from the signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, PydanticUserError, create_model
from pydantic.errors import PydanticSchemaGenerationError

from core.code_places import place_of
from core.contracts.actions import ActionContext, DisplayHints, Effect, Permission
from core.contracts.errors import DeclarationError
from core.contracts.json import Json, JsonObject

CONTEXT_PARAMETER = "ctx"
SHORTEST_INTERVAL_S = 1.0
"""Of a periodic job: a shorter one would have the scheduler do nothing else."""
USABLE_TYPES = "str, int, float, bool, list[…], dict[str, …], Literal[…], an Enum, a date or a pydantic model"

Model: TypeAlias = type[BaseModel]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionMark:
    """What `@action` notes on a method; None means that it is derived from the method itself."""

    name: str | None
    effect: Effect
    permission: Permission
    timeout_s: float
    returns_output: bool | None
    reads_outside: bool | None
    repeatable: bool | None
    command: str
    model: bool
    passes_lanes: bool
    destination_field: str
    plants: bool
    compensation: str
    phrases: tuple[str, ...]
    display: DisplayHints = field(default_factory=DisplayHints)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookMark:
    """What `@hook` notes on a method."""

    name: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyMark:
    """What `@strategy` notes on a method. timeout_s: seconds that one decision may take."""

    name: str
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryMark:
    """What `@every` notes on a method. seconds: of the interval, 0 where `cron` says when. skip_late: see `every`."""

    seconds: float
    cron: str
    skip_late: bool
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMark:
    """What `@on` notes on a method, as it was written: it is checked where the plugin is loaded."""

    pattern: object
    when: object
    stage: object
    priority: object
    timeout_s: object


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredAction:
    """A decorated method, read: `arguments` checks and converts a payload into the method's keyword arguments."""

    type: str
    method: str
    declaration: JsonObject
    arguments: Model
    takes_context: bool

    def convert(self, payload: Mapping[str, Json]) -> dict[str, Any]:
        """Return the keyword arguments of a validated payload; raises pydantic.ValidationError."""
        model = self.arguments.model_validate(dict(payload))
        return {name: getattr(model, name) for name in self.arguments.model_fields}


def named(name: str, function: object) -> str:
    """Return what a declaration is called where something is wrong with it: its name, and where it is written."""
    place = place_of(function)
    return f"{name} ({place})" if place else name


def declare_action(plugin: str, method_name: str, function: Callable[..., Any], mark: ActionMark) -> DeclaredAction:
    """Read a decorated method; raises DeclarationError that names the plugin, the method and the cure."""

    def mistake(what: str, cure: str) -> DeclarationError:
        return DeclarationError(f"{named(f'{plugin}.{method_name}', function)}: {what}.", cure=cure)

    description = inspect.getdoc(function) or ""
    if not description:
        raise mistake("the action has no docstring", "Write one sentence in it: the model reads it as description.")
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise mistake(
            f"an annotation cannot be read ({error})", "Import the name at the top of the module."
        ) from error
    fields: dict[str, Any] = {}
    takes_context = False
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.name == CONTEXT_PARAMETER:
            takes_context = True
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise mistake(f"the parameter {parameter} cannot be a payload field", "Name each field as a parameter.")
        if parameter.name not in hints:
            raise mistake(f"the parameter {parameter.name} has no annotation", f"Write {parameter.name}: str, say.")
        if parameter.name.startswith("_"):
            raise mistake(f"the parameter {parameter.name} starts with _", "Name it without the underscore.")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    try:
        arguments = create_model(f"{method_name}_payload", __config__=ConfigDict(extra="forbid"), **fields)
        schema = _tidy(arguments.model_json_schema())
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
        raise mistake(*_no_schema(fields)) from error
    if mark.destination_field and mark.destination_field not in fields:
        raise mistake(f"destination_field names {mark.destination_field}", "Name a parameter of the method.")
    returns_output = mark.returns_output
    if returns_output is None:
        returns_output = hints.get("return", str) is not type(None)
    declaration: JsonObject = {
        "description": " ".join(description.split("\n\n")[0].split()),
        "required_fields": list(schema.get("required", ())),
        "optional_fields": [name for name in fields if name not in schema.get("required", ())],
        "schema": schema,
        "permission": mark.permission,
        "effect": mark.effect,
        "timeout_s": mark.timeout_s,
        "returns_output": returns_output,
        "command": mark.command,
        "model": mark.model,
        "phrases": mark.phrases,
        "passes_lanes": mark.passes_lanes,
        "destination_field": mark.destination_field,
        "plants": mark.plants,
        "compensation": mark.compensation,
        "display": mark.display,
    }
    for key in ("reads_outside", "repeatable"):
        if getattr(mark, key) is not None:
            declaration[key] = getattr(mark, key)
    return DeclaredAction(
        type=mark.name or method_name,
        method=method_name,
        declaration=declaration,
        arguments=arguments,
        takes_context=takes_context,
    )


def _no_schema(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is wrong with fields of which no JSON Schema can be made, in our words, and the cure."""
    usable = f"Use {USABLE_TYPES}"
    for name, (hint, default) in fields.items():
        one: dict[str, Any] = {name: (hint, default)}
        try:
            create_model("payload", **one).model_json_schema()
        except (PydanticSchemaGenerationError, PydanticUserError, TypeError):
            what = f"the parameter {name} is a {inspect.formatannotation(hint)}, which no JSON can be read as"
            if hint is ActionContext:
                return what, f"Name it {CONTEXT_PARAMETER}: that is where the context is given."
            return what, f"{usable}, and make of it what the method needs."
    return "no JSON Schema can be made of its parameters together", f"{usable}."


def _tidy(schema: JsonObject) -> JsonObject:
    """Drop what pydantic adds and nobody reads (titles), and refuse undeclared fields."""
    tidied = cast(JsonObject, _without_titles(schema))
    tidied["additionalProperties"] = False
    tidied.setdefault("properties", {})
    return tidied


def _without_titles(node: Json, *, names: bool = False) -> Json:
    """`names` is True where the keys are names of fields, not keywords of the schema."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _without_titles(value, names=not names and key in ("properties", "$defs")) if key != "default" else value
        for key, value in node.items()
        if names or key != "title"
    }


def marked_methods(cls: type, mark: str) -> list[tuple[str, Any, Any]]:
    """Return (name, function, mark) of the methods that a decorator has given a mark, base classes first."""
    attributes: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        attributes.update(vars(base))
    marked = ((name, function, getattr(function, mark, None)) for name, function in attributes.items())
    return [(name, function, value) for name, function, value in marked if value is not None]
