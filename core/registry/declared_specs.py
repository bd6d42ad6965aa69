"""From the five methods of a plugin to its `ActionSpec`s; every mistake names the plugin, the action and the cure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields as dataclass_fields
from enum import StrEnum
from typing import Any, TypeVar

from core.ai_plugin_base import AIPluginBase
from core.contracts.actions import ActionSpec, DisplayHints, Effect, Permission
from core.contracts.errors import DeclarationError, RekkuError
from core.contracts.json import Json, JsonObject
from core.declarations import named
from core.near_names import suggestion
from core.registry import payload_schema
from core.registry.payload_schema import SchemaMistake
from core.registry.reasons import reason_of

E = TypeVar("E", bound=StrEnum)

KNOWN_KEYS = {field.name for field in dataclass_fields(ActionSpec)} - {"type", "plugin"} | {
    "required_fields",
    "optional_fields",
}
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_PHRASE_FIELD = re.compile(r"\{([^{}]*)\}")


def declared_specs(name: str, plugin: object) -> list[ActionSpec]:
    """Return the specs of a plugin's actions in the order in which it declares them; raises DeclarationError."""
    declarations = _ask(name, plugin, "get_supported_actions")
    if declarations is None:
        return []
    if not isinstance(declarations, Mapping):
        raise DeclarationError(
            f"{name}.get_supported_actions returned a {type(declarations).__name__}.",
            cure='Return {type: {"description": …, "required_fields": […], "optional_fields": […]}}.',
        )
    _same_types(name, plugin, declarations)
    if declarations and not callable(getattr(plugin, "handle_custom_action", None)):
        raise DeclarationError(
            f"{name} declares actions and has no handle_custom_action.",
            cure="Define async def handle_custom_action(self, action_type, payload).",
        )
    specs = [_Reader(name, plugin, type_).spec(declaration) for type_, declaration in declarations.items()]
    for spec in specs:
        if spec.compensation and spec.compensation not in declarations:
            raise DeclarationError(
                f"{name}.{spec.type}: the compensation {spec.compensation!r} is no action of this plugin.",
                cure=suggestion(spec.compensation, declarations) or "Declare that action as well.",
            )
    return specs


def _ask(name: str, plugin: object, method: str, *args: object) -> Any:
    """Call one of the declaring methods; None where the plugin does not have it."""
    function = getattr(plugin, method, None)
    if function is None:
        return None
    try:
        return function(*args)
    except RekkuError:
        raise
    except Exception as error:  # foreign code: whatever it raises is a mistake in its declaration
        called = f"{name}.{method}({', '.join(map(repr, args))})"
        raise DeclarationError(f"{called} raised {reason_of(error)}.") from error


def _same_types(name: str, plugin: object, declarations: Mapping[str, Json]) -> None:
    types = _ask(name, plugin, "get_supported_action_types")
    if types is None:
        return
    if isinstance(types, str) or not isinstance(types, Sequence | set | frozenset):
        raise DeclarationError(
            f"{name}.get_supported_action_types returned a {type(types).__name__}.", cure="Return a list of names."
        )
    for said, missing, where in (
        ([t for t in types if t not in declarations], "get_supported_actions", "get_supported_action_types"),
        ([t for t in declarations if t not in types], "get_supported_action_types", "get_supported_actions"),
    ):
        if said:
            raise DeclarationError(
                f"{name}: {where} names the action {said[0]}, {missing} does not.", cure="Let both name the same."
            )


class _Reader:
    """Reads the declaration of one action."""

    def __init__(self, name: str, plugin: object, type_: Any) -> None:
        self._name, self._plugin, self._type = name, plugin, type_

    def mistake(self, what: str, cure: str = "") -> DeclarationError:
        return DeclarationError(f"{self._where}: {what}.", cure=cure)

    @property
    def _where(self) -> str:
        """The action, and where its method is written if it is a decorated one."""
        own = f"{self._name}.{self._type}"
        declared = self._plugin.declared_actions() if isinstance(self._plugin, AIPluginBase) else {}
        method = declared[self._type].method if self._type in declared else ""
        return named(own, getattr(type(self._plugin), method)) if method else own

    def spec(self, declaration: Json) -> ActionSpec:
        if not isinstance(self._type, str) or not _TYPE.fullmatch(self._type):
            raise self.mistake(f"{self._type!r} is no action type", "Use a-z, 0-9 and _, a letter first, 63 at most.")
        if not isinstance(declaration, Mapping):
            raise self.mistake(
                f"its declaration is a {type(declaration).__name__}",
                'Write {"description": …, "required_fields": […]}.',
            )
        for key in declaration:
            if key not in KNOWN_KEYS:
                raise self.mistake(f"{key!r} is no key of a declaration", suggestion(str(key), KNOWN_KEYS))
        instructions = self._instructions()
        description = declaration.get("description") or instructions.get("description")
        if not isinstance(description, str) or not description.strip():
            raise self.mistake("it has no description", "Say in one sentence what it does: the model reads that.")
        schema = self._schema(declaration, instructions)
        effect = self._word(Effect, declaration, "effect", Effect.EXTERNAL)
        returns_output = self._flag(declaration, "returns_output", True)
        reads_outside = effect is Effect.EXTERNAL and returns_output
        return ActionSpec(
            type=self._type,
            description=description.strip(),
            schema=schema,
            plugin=self._name,
            permission=self._word(Permission, declaration, "permission", Permission.USER),
            effect=effect,
            timeout_s=self._timeout(declaration.get("timeout_s", 60.0)),
            returns_output=returns_output,
            reads_outside=self._flag(declaration, "reads_outside", reads_outside),
            repeatable=self._flag(declaration, "repeatable", effect is Effect.READ),
            command=self._command(declaration.get("command", "")),
            model=self._flag(declaration, "model", True),
            passes_lanes=self._flag(declaration, "passes_lanes", False),
            destination_field=self._field(schema, "destination_field", declaration.get("destination_field", "")),
            plants=self._flag(declaration, "plants", False),
            compensation=self._text(declaration, "compensation"),
            phrases=self._phrases(schema, declaration.get("phrases", ())),
            display=self._display(schema, declaration.get("display")),
        )

    def _instructions(self) -> Mapping[str, Json]:
        instructions = _ask(self._name, self._plugin, "get_prompt_instructions", self._type)
        if instructions is None:
            return {}
        if not isinstance(instructions, Mapping):
            raise self.mistake(
                f"get_prompt_instructions returned a {type(instructions).__name__}",
                'Return {"description": …, "payload": {field: {"type": …, "description": …}}}.',
            )
        return instructions

    def _schema(self, declaration: Mapping[str, Json], instructions: Mapping[str, Json]) -> JsonObject:
        required, optional = declaration.get("required_fields"), declaration.get("optional_fields")
        described = instructions.get("payload") or {}
        if not isinstance(described, Mapping):
            raise self.mistake(
                f"the payload of its prompt instructions is a {type(described).__name__}",
                'Write {field: {"type": …, "description": …}}.',
            )
        try:
            if declaration.get("schema") is not None:
                return payload_schema.whole(declaration["schema"], required, optional)
            return payload_schema.checked(payload_schema.from_fields(required, optional, described))
        except SchemaMistake as mistake:
            raise self.mistake(mistake.what, mistake.cure) from mistake

    def _word(self, words: type[E], declaration: Mapping[str, Json], key: str, default: E) -> E:
        value = declaration.get(key, default)
        try:
            return words(value)
        except ValueError as error:
            raise self.mistake(f"its {key} is {value!r}", f"Use one of {', '.join(words)}.") from error

    def _flag(self, declaration: Mapping[str, Json], key: str, default: bool) -> bool:
        value = declaration.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.mistake(f"its {key} is {value!r}", "Write True or False.")
        return value

    def _text(self, declaration: Mapping[str, Json], key: str) -> str:
        value = declaration.get(key) or ""
        if not isinstance(value, str):
            raise self.mistake(f"its {key} is {value!r}", "Write the name of an action.")
        return value

    def _timeout(self, value: Json) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise self.mistake(f"its timeout_s is {value!r}", "Write a number of seconds above 0.")
        return float(value)

    def _command(self, value: Json) -> str:
        if value in ("", None):
            return ""
        if not isinstance(value, str) or not _COMMAND.fullmatch(value):
            raise self.mistake(f"its command is {value!r}", "Use a-z, 0-9 and _, 32 at most, without the slash.")
        return value

    def _field(self, schema: JsonObject, key: str, value: Json) -> str:
        if value in ("", None):
            return ""
        if value not in schema["properties"]:
            cure = suggestion(str(value), schema["properties"]) or "The action has no fields."
            raise self.mistake(f"its {key} names {value!r}, which is no field", cure)
        return str(value)

    def _phrases(self, schema: JsonObject, value: Json) -> tuple[str, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self.mistake("its phrases are no list", 'Write phrases=["roll a d{sides}"].')
        for phrase in value:
            if not isinstance(phrase, str) or not phrase.strip():
                raise self.mistake(f"the phrase {phrase!r} is no text", "Write what somebody would say.")
            named = _PHRASE_FIELD.findall(phrase)
            for field in named:
                if field not in schema["properties"]:
                    cure = suggestion(field, schema["properties"])
                    raise self.mistake(f"the phrase {phrase!r} names the unknown field {field!r}", cure)
            for field in schema["required"]:
                if field not in named:
                    raise self.mistake(f"the phrase {phrase!r} lacks the required field {field}", "Put it in braces.")
        return tuple(value)

    def _display(self, schema: JsonObject, value: Json) -> DisplayHints:
        if value is None:
            return DisplayHints()
        if isinstance(value, Mapping):
            known = [field.name for field in dataclass_fields(DisplayHints)]
            for key in value:
                if key not in known:
                    raise self.mistake(f"{key!r} is no display hint", suggestion(str(key), known))
            value = DisplayHints(**value)
        if not isinstance(value, DisplayHints):
            raise self.mistake(f"its display is a {type(value).__name__}", "Write DisplayHints(verb=…).")
        for key in ("path_field", "command_field", "diff_field"):
            self._field(schema, f"display.{key}", getattr(value, key))
        return value
