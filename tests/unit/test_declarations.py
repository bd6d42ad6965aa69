"""Declarations: what a plugin says of its actions becomes a spec, or a mistake that names its place and cure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, action
from core.contracts.actions import ActionContext, ActionSpec, DisplayHints, Effect, Permission
from core.contracts.errors import DeclarationError
from core.contracts.json import Json, JsonObject
from core.registry.component import ComponentState, Stage
from core.registry.declared_specs import declared_specs
from core.registry.discovery import found_at
from core.registry.misspelt_events import meant_instead
from tests.support.plugin_files import make_registry


class Plain:
    """The five methods on an object that derives from nothing."""

    def __init__(self, actions: Any, *, types: Any = None, prompt: Any = None) -> None:
        self._actions, self._types, self._prompt = actions, types, prompt

    def get_supported_action_types(self) -> Any:
        return list(self._actions) if self._types is None else self._types

    def get_supported_actions(self) -> Any:
        return self._actions

    def get_prompt_instructions(self, action_name: str) -> Any:
        return self._prompt

    def validate_payload(self, action_type: str, payload: JsonObject) -> list[str]:
        return []

    async def handle_custom_action(self, action_type: str, payload: JsonObject) -> Json:
        return None


def spec_of(declaration: Any, prompt: Any = None) -> ActionSpec:
    (spec,) = declared_specs("dice", Plain({"roll": declaration}, prompt=prompt))
    return spec


def test_fields_types_and_descriptions_come_from_the_prompt_instructions() -> None:
    prompt = {
        "description": "Roll.",
        "payload": {
            "sides": {"type": "int", "description": "How many.", "minimum": 2, "example": 6},
            "names": {"type": "list[str]"},
            "note": "A remark.",
            "loud": "bool",
        },
    }
    declaration = {"required_fields": ["sides"], "optional_fields": ["names", "note", "loud", "free"]}
    spec = spec_of(declaration, prompt)
    assert spec.description == "Roll."
    assert spec.schema == {
        "type": "object",
        "properties": {
            "sides": {"type": "integer", "description": "How many.", "minimum": 2},
            "names": {"type": "array", "items": {"type": "string"}},
            "note": {"description": "A remark."},
            "loud": {"type": "boolean"},
            "free": {},
        },
        "required": ["sides"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("word", "type_"),
    [
        ("string", "string"), ("str", "string"), ("int", "integer"), ("integer", "integer"), ("number", "number"),
        ("float", "number"), ("boolean", "boolean"), ("list", "array"), ("array", "array"), ("object", "object"),
        ("dict", "object"), (["string", "null"], ["string", "null"]), (int, "integer"), ("Str", "string"),
    ],
)  # fmt: skip
def test_type_words(word: Any, type_: Any) -> None:
    for declaration in ({"a": {"type": word}}, {"a": word} if not isinstance(word, list) else {"a": {"type": word}}):
        spec = spec_of({"description": "Do.", "required_fields": declaration})
        assert spec.schema["properties"] == {"a": {"type": type_}}
        assert spec.required == ("a",)


def test_the_defaults() -> None:
    spec = spec_of({"description": "Do."})
    assert spec == ActionSpec(
        type="roll",
        description="Do.",
        schema={"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        plugin="dice",
        permission=Permission.USER,
        effect=Effect.EXTERNAL,
        timeout_s=60.0,
        returns_output=True,
        reads_outside=True,
        repeatable=False,
    )


@pytest.mark.parametrize(
    ("declaration", "repeatable", "reads_outside"),
    [
        ({"effect": "read"}, True, False),
        ({"effect": "read", "repeatable": False, "reads_outside": True}, False, True),
        ({"effect": "local"}, False, False),
        ({"effect": "external", "returns_output": False}, False, False),
        ({"effect": "external", "reads_outside": False, "repeatable": True}, True, False),
    ],
)
def test_what_follows_from_the_effect(declaration: JsonObject, repeatable: bool, reads_outside: bool) -> None:
    spec = spec_of({"description": "Do.", **declaration})
    assert (spec.repeatable, spec.reads_outside) == (repeatable, reads_outside)


def test_a_whole_schema_refuses_undeclared_fields() -> None:
    spec = spec_of({"description": "Do.", "schema": {"properties": {"a": {"type": "string"}}, "required": ["a"]}})
    assert spec.schema["additionalProperties"] is False
    assert spec.schema["type"] == "object"


def test_everything_that_can_be_said() -> None:
    class Files(AIPluginBase):
        @action(
            effect="external",
            name="write_file",
            permission="trainer",
            timeout_s=5,
            command="write",
            model=False,
            destination_field="to",
            phrases=["write {text} to {to}"],
            display=DisplayHints(verb="writes", path_field="to"),
        )
        def write(self, text: str, to: str) -> None:
            """Write a file.

            More that the model is not told.
            """

    (spec,) = declared_specs("files", Files())
    assert (spec.type, spec.description, spec.plugin) == ("write_file", "Write a file.", "files")
    assert (spec.permission, spec.effect, spec.timeout_s) == (Permission.TRAINER, Effect.EXTERNAL, 5.0)
    assert (spec.command, spec.model, spec.returns_output, spec.reads_outside) == ("write", False, False, False)
    assert (spec.destination_field, spec.phrases) == ("to", ("write {text} to {to}",))
    assert spec.display == DisplayHints(verb="writes", path_field="to")
    assert spec.required == ("text", "to")


A: JsonObject = {"properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ({"descripton": "x"}, "'descripton' is no key of a declaration. Did you mean description?"),
        ({"description": " "}, "it has no description. Say in one sentence"),
        ({"effect": "write"}, "its effect is 'write'. Use one of read, local, external"),
        ({"permission": "root"}, "its permission is 'root'. Use one of anyone, user, trainer"),
        ({"timeout_s": 0}, "its timeout_s is 0. Write a number of seconds above 0."),
        ({"timeout_s": float("inf")}, "its timeout_s is inf."),
        ({"timeout_s": True}, "its timeout_s is True."),
        ({"timeout_s": "5"}, "its timeout_s is '5'."),
        ({"returns_output": "no"}, "its returns_output is 'no'. Write True or False."),
        ({"command": "/roll"}, "its command is '/roll'. Use a-z, 0-9 and _, 32 at most, without the slash."),
        ({"command": "x" * 33}, "its command is"),
        ({"required_fields": "sides"}, "required_fields is a str. Write a list of names"),
        ({"required_fields": ["a"], "optional_fields": ["a"]}, "a is both required and optional."),
        ({"required_fields": {"a": {"type": "strng"}}}, "the field a is of type 'strng', which is unknown."),
        ({"required_fields": {"a": {"type": "string", "pattern": "("}}}, "its schema is no JSON Schema."),
        ({"schema": 3}, "its schema is a int."),
        ({"schema": {"type": "array"}}, "its schema is of type 'array'."),
        ({"schema": {"properties": {"a": {"type": "strin"}}}}, "its schema is no JSON Schema. At properties.a.type"),
        ({"schema": {**A, "additionalProperties": True}}, "its schema allows fields that are not declared."),
        ({"schema": {**A, "required": ["b"]}}, "its schema requires b, which is no property."),
        ({"schema": {"anyOf": [A]}}, "its schema has no properties of its own."),
        ({"schema": A, "required_fields": ["a"]}, "required_fields and its schema's required are not the same."),
        ({"schema": A, "optional_fields": ["aa"]}, "the field aa is not in its schema. Did you mean a?"),
        ({"schema": {"properties": {"a": {"$ref": "#/$defs/b"}}}}, "its schema refers to #/$defs/b, which is not"),
        (
            {"schema": {"properties": {"a": {"$ref": "http://127.0.0.1:9/x"}}}},
            "its schema refers to http://127.0.0.1:9/x",
        ),
        ({"phrases": "roll"}, "its phrases are no list."),
        ({"phrases": [""]}, "the phrase '' is no text."),
        ({"schema": A, "phrases": ["do {b}"]}, "the phrase 'do {b}' names the unknown field 'b'."),
        ({"required_fields": ["a"], "phrases": ["do"]}, "the phrase 'do' lacks the required field a."),
        ({"schema": A, "destination_field": "to"}, "its destination_field names 'to', which is no field."),
        ({"display": {"verbs": "x"}}, "'verbs' is no display hint. Did you mean verb?"),
        ({"display": {"path_field": "p"}}, "its display.path_field names 'p', which is no field."),
    ],
)
def test_a_mistake_names_plugin_action_and_cure(declaration: JsonObject, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        spec_of({"description": "Do.", **declaration})
    assert caught.value.explain().startswith(f"dice.roll: {message}")
    assert caught.value.cure


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("text", "dice.roll: get_prompt_instructions returned a str."),
        ({"payload": ["a"]}, "dice.roll: the payload of its prompt instructions is a list."),
        ({"payload": {"b": "int"}}, "dice.roll: the prompt instructions describe a field b that is not declared."),
        ({"payload": {"a": 3}}, "dice.roll: the field a is described by a int."),
    ],
)
def test_a_mistake_in_the_prompt_instructions(prompt: Any, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        spec_of({"description": "Do.", "optional_fields": ["a"]}, prompt)
    assert caught.value.explain().startswith(message)
    assert caught.value.cure


@pytest.mark.parametrize("type_", ["Roll", "1st", "a-b", "", "x" * 64, 7])
def test_an_action_type_is_a_plain_word(type_: Any) -> None:
    with pytest.raises(DeclarationError, match="is no action type"):
        declared_specs("dice", Plain({type_: {"description": "Do."}}))


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (Plain(["roll"], types=["roll"]), "dice.get_supported_actions returned a list."),
        (Plain({"roll": "Roll."}), "dice.roll: its declaration is a str."),
        (Plain({"roll": {}}, types=["role"]), "dice: get_supported_action_types names the action role,"),
        (Plain({"roll": {}}, types=[]), "dice: get_supported_actions names the action roll,"),
        (Plain({"roll": {}}, types="roll"), "dice.get_supported_action_types returned a str."),
    ],
)
def test_a_mistake_in_the_methods(plugin: Plain, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        declared_specs("dice", plugin)
    assert str(caught.value).startswith(message)
    assert caught.value.cure


def test_a_declaring_method_that_raises_is_named() -> None:
    class Broken(Plain):
        def get_prompt_instructions(self, action_name: str) -> Any:
            raise KeyError(action_name)

    with pytest.raises(DeclarationError, match=r"dice\.get_prompt_instructions\('roll'\) raised KeyError: 'roll'"):
        declared_specs("dice", Broken({"roll": {"description": "Do."}}))


def test_actions_without_a_handler() -> None:
    class Mute:
        def get_supported_actions(self) -> JsonObject:
            return {"roll": {"description": "Roll."}}

    with pytest.raises(DeclarationError, match="declares actions and has no handle_custom_action"):
        declared_specs("dice", Mute())


def test_a_decorated_method_without_docstring_or_annotation() -> None:
    class Silent(AIPluginBase):
        @action(effect="read")
        async def roll(self) -> None: ...

    class Untyped(AIPluginBase):
        @action(effect="read")
        async def roll(self, sides) -> None:  # type: ignore[no-untyped-def]
            """Roll."""

    with pytest.raises(
        DeclarationError, match=r"Silent\.roll \(test_declarations\.py, line \d+\): the action has no docstring"
    ):
        declared_specs("dice", Silent())
    with pytest.raises(DeclarationError, match=r"Untyped\.roll \(.*\): the parameter sides has no annotation"):
        declared_specs("dice", Untyped())


WRONG = {
    "action": ('@action(effect="locl")', "@action(effect='locl'): there is no such effect. Did you mean local?"),
    "permission": (
        '@action(effect="read", permission="trainers")',
        "@action(permission='trainers'): there is no such permission. Did you mean trainer?",
    ),
    "phrase": (
        '@action(effect="read", phrases=["shine {hue}"])',
        "the phrase 'shine {hue}' names the unknown field 'hue'. Known: colour.",
    ),
    "hook": ('@hook("gather_contxt")', "@hook('gather_contxt'): there is no such hook. Did you mean gather_context?"),
    "bare hook": ("@hook", "@hook is used without the name of a hook. Write @hook("),
    "bare on": ("@on", "@on is used without a pattern. Write @on("),
    "stage": ('@on("lamp.*", stage="handel")', "'handel' is no stage of events. Did you mean handle?"),
    "pattern": ('@on("Lamp")', "'Lamp' in 'Lamp' is neither a lower-case word"),
    "every": ('@every(minutes=5, late="skp")', "@every: late is 'skp'. Write"),
    "strategy": ('@strategy("My Way")', "this cannot be the name of a strategy"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_declaration_names_method_file_line_and_cure(tmp_path: Path, case: str) -> None:
    decorator, sentence = WRONG[case]
    file = tmp_path / "lamp.py"
    file.write_text(
        "from core.ai_plugin_base import AIPluginBase, action, every, hook, on, strategy\n\n\n"
        "class Lamp(AIPluginBase):\n"
        f"    {decorator}\n"
        "    async def shine(self, colour: str) -> str:\n"
        '        """Shine."""\n'
        "        return colour\n\n\n"
        "PLUGIN_CLASS = Lamp\n",
        encoding="utf-8",
    )
    registry = make_registry()
    await registry.load("plugin", [found_at(file)])
    (component,) = registry.components("plugin")
    assert component.state is ComponentState.FAILED
    assert component.stage is Stage.DECLARATION
    assert "lamp.py, line 5)" in component.reason
    assert "shine (" in component.reason
    assert sentence in component.reason


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("turn.complete", "turn.completed"), ("input.recieved", "input.received"), ("turns.*", "turn.*"),
        ("turn.completed", ""), ("turn.*", ""), ("**", ""), ("lamp.switched", ""), ("lamp.*", ""), ("*.started", ""),
    ],
)  # fmt: skip
def test_a_misspelt_event_is_seen_and_an_own_one_is_not(pattern: str, meant: str) -> None:
    assert meant_instead(pattern) == meant


class Bulb:
    """A type that JSON knows nothing of."""


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        (Bulb, "Bulb"),
        (list[Bulb] | None, "Bulb] | None"),
        (dict[Bulb, int], "Bulb, int]"),
        (Callable[[], int], "Callable[[], int]"),
        (type, "type"),
    ],
)
def test_a_type_that_json_does_not_have_is_told_in_our_words(type_: Any, said: str) -> None:
    class Garden(AIPluginBase):
        @action(effect="read")
        async def plant(self, depth: int, bulb: int) -> str:
            """Plant one."""
            return ""

    Garden.plant.__annotations__["bulb"] = type_
    with pytest.raises(DeclarationError) as caught:
        Garden.declared_actions()
    told = caught.value.explain()
    assert told.startswith("Garden.plant (test_declarations.py, line ")
    assert "the parameter bulb is a " in told
    assert f"{said}, which no JSON can be read as. Use str, int" in told
    assert "ydantic-core" not in told


def test_a_context_under_another_name_is_told_its_name() -> None:
    class Garden(AIPluginBase):
        @action(effect="read")
        async def plant(self, context: ActionContext) -> str:
            """Plant one."""
            return ""

    with pytest.raises(DeclarationError) as caught:
        Garden.declared_actions()
    assert "Name it ctx" in caught.value.explain()
