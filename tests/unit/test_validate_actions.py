"""Validation against the catalogue: unknown types, schema complaints, and null for absence."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from jsonschema import Draft202012Validator

from core.contracts.actions import ActionEnvelope, ActionSpec
from core.contracts.json import Json, JsonObject
from core.contracts.steps import CheckedAction, ParsedReply, Repair, ReplyError
from core.turn.stages.parse_reply import parse_reply
from core.turn.stages.validate_actions import validate_actions


@dataclass(frozen=True, slots=True)
class SchemaChecked:
    """A catalogue entry as the core builds it: a spec and its compiled schema."""

    spec: ActionSpec
    _validator: Draft202012Validator = field(init=False)

    def __post_init__(self) -> None:
        Draft202012Validator.check_schema(self.spec.schema)
        object.__setattr__(self, "_validator", Draft202012Validator(self.spec.schema))

    def complaints(self, payload: JsonObject) -> list[str]:
        return [error.message for error in self._validator.iter_errors(payload)][:5]


def catalogue(schemas: Mapping[str, Json], *, hidden: tuple[str, ...] = ()) -> dict[str, CheckedAction]:
    return {
        name: SchemaChecked(ActionSpec(type=name, description=name, schema=schema, model=name not in hidden))
        for name, schema in schemas.items()
    }


def payload_of(
    properties: JsonObject, required: tuple[str, ...] = (), *, defs: JsonObject | None = None
) -> JsonObject:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        "$defs": defs or {},
    }


TEXT: JsonObject = {"type": "string"}
KNOWN = catalogue(
    {
        "message": payload_of({"text": TEXT, "to": TEXT}, ("text",)),
        "terminal": payload_of({"command": TEXT, "timeout_s": {"type": "integer", "minimum": 1}}, ("command",)),
        "time_now": payload_of({"zone": TEXT}),
        "weather": payload_of({"city": TEXT}),
        "reset": payload_of({}),
    },
    hidden=("reset",),
)


def reply(*actions: ActionEnvelope | None, **more: Json) -> ParsedReply:
    return ParsedReply(actions=actions, **more)


def act(type_: str, **payload: Json) -> ActionEnvelope:
    return ActionEnvelope(type=type_, payload=payload)


def test_what_is_valid_passes_unchanged() -> None:
    parsed = reply(act("message", text="hi"), act("terminal", command="ls", timeout_s=5))
    assert validate_actions(parsed, KNOWN) == parsed
    assert validate_actions(ParsedReply(), KNOWN) == ParsedReply()


def test_an_unknown_type_is_told_its_neighbours() -> None:
    checked = validate_actions(reply(act("message", text="hi"), act("wether", city="Rome")), KNOWN)
    assert checked.actions == (act("message", text="hi"), None)
    assert checked.errors == (ReplyError(index=1, message='There is no action "wether". Did you mean weather?'),)


def test_an_unknown_type_without_neighbours_is_told_a_few() -> None:
    many = catalogue({f"action_{number:02}": payload_of({}) for number in range(40)})
    [error] = validate_actions(reply(act("?")), many).errors
    assert error.message.endswith("Some that exist: action_00, action_01, action_02, action_03, action_04.")


def test_what_is_kept_from_the_model_is_not_suggested() -> None:
    [error] = validate_actions(reply(act("resett")), KNOWN).errors
    assert "Did you mean reset" not in error.message


@pytest.mark.parametrize("type_", ["x" * 500_000, "\ud800", "terminal\n"])
def test_a_type_of_any_kind_is_quoted_briefly(type_: str) -> None:
    [error] = validate_actions(reply(act(type_)), KNOWN).errors
    error.message.encode()
    assert len(error.message) < 400


def test_complaints_of_the_schema_carry_index_and_type() -> None:
    parsed = reply(act("terminal", command=3, timeout_s=0), act("message", text="hi"), act("message"))
    checked = validate_actions(parsed, KNOWN)
    assert checked.actions == (None, act("message", text="hi"), None)
    assert [(error.index, error.message) for error in checked.errors] == [
        (0, "terminal: 3 is not of type 'string'"),
        (0, "terminal: 0 is less than the minimum of 1"),
        (2, "message: 'text' is a required property"),
    ]


def test_long_complaints_are_cut() -> None:
    [error] = validate_actions(reply(act("terminal", command=["x" * 100_000])), KNOWN).errors
    assert len(error.message) < 500


def test_places_and_earlier_errors_are_kept() -> None:
    earlier = ReplyError(index=1, message="no object")
    repair = Repair(path="$", what="code fence")
    parsed = reply(act("nope"), None, act("message", text="hi"), errors=(earlier,), repairs=(repair,))
    checked = validate_actions(parsed, KNOWN)
    assert checked.actions == (None, None, act("message", text="hi"))
    assert [error.index for error in checked.errors] == [0, 1]
    assert checked.errors[1] == earlier
    assert checked.repairs == (repair,)


def test_it_may_be_asked_again() -> None:
    once = validate_actions(reply(act("nope"), act("message", text="hi", to=None)), KNOWN)
    assert validate_actions(once, KNOWN) == once


def test_a_refused_reply_stays_refused() -> None:
    refused = parse_reply("")
    assert validate_actions(refused, KNOWN) == refused


class TestNullIsAbsence:
    def cleaned(self, schema: JsonObject, payload: JsonObject) -> JsonObject:
        """The payload that is left, valid or not: what the schema is asked about."""
        seen: list[JsonObject] = []

        class Spy:
            spec = ActionSpec(type="x", description="x", schema=schema)

            def complaints(self, payload: JsonObject) -> list[str]:
                seen.append(payload)
                return []

        before = copy.deepcopy(payload)
        validate_actions(reply(ActionEnvelope(type="x", payload=payload)), {"x": Spy()})
        assert payload == before
        return seen[0]

    def test_for_an_optional_field(self) -> None:
        checked = validate_actions(reply(act("message", text="hi", to=None)), KNOWN)
        assert checked.actions == (act("message", text="hi"),)
        assert checked.valid
        assert checked.repairs == (
            Repair(path="$.actions[0].payload.to", what="null for an optional field, taken as absent"),
        )

    def test_not_for_a_required_one(self) -> None:
        checked = validate_actions(reply(act("message", text=None)), KNOWN)
        assert [error.message for error in checked.errors] == ["message: None is not of type 'string'"]

    def test_not_for_one_that_is_not_declared(self) -> None:
        assert not validate_actions(reply(act("message", text="hi", nope=None)), KNOWN).valid

    @pytest.mark.parametrize(
        "field_schema",
        [
            {},
            True,
            {"description": "anything"},
            {"type": "null"},
            {"type": ["string", "null"]},
            {"enum": ["a", None]},
            {"const": None},
            {"anyOf": [{"type": "string"}, {"type": "null"}], "default": 5},
            {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/Nothing"}]},
            {"allOf": [{"type": ["null", "string"]}, {}]},
            {"$ref": "#/$defs/Nothing"},
            {"$ref": "#/$defs/Loop"},
            {"$ref": "https://example.invalid/schema"},
        ],
    )
    def test_a_null_that_is_a_value_stays(self, field_schema: Json) -> None:
        defs = {"Nothing": {"type": "null"}, "Loop": {"$ref": "#/$defs/Loop"}}
        schema = payload_of({"a": field_schema}, defs=defs)
        assert self.cleaned(schema, {"a": None}) == {"a": None}

    @pytest.mark.parametrize(
        "field_schema",
        [
            False,
            {"type": "string"},
            {"type": ["string", "integer"]},
            {"enum": ["a", "b"]},
            {"const": "a"},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            {"allOf": [{}, {"type": "string"}]},
            {"$ref": "#/$defs/Name~1~0"},
        ],
    )
    def test_a_null_that_is_none_is_dropped(self, field_schema: Json) -> None:
        schema = payload_of({"a": field_schema, "b": TEXT}, defs={"Name/~": {"enum": ["x"]}})
        assert self.cleaned(schema, {"a": None, "b": "b"}) == {"b": "b"}

    def test_deep_inside(self) -> None:
        place = payload_of({"city": TEXT, "zip": TEXT}, ("city",))
        schema = payload_of(
            {
                "plain": place,
                "ref": {"$ref": "#/$defs/Place"},
                "maybe": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
                "list": {"type": "array", "items": {"allOf": [{"$ref": "#/$defs/Place"}]}},
                "map": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Place"}},
                "free": {"type": "object"},
            },
            defs={"Place": place},
        )
        rome: JsonObject = {"city": "Rome", "zip": None}
        payload: JsonObject = {
            "plain": rome,
            "ref": rome,
            "maybe": rome,
            "list": [rome, {"city": None}],
            "map": {"a": rome},
            "free": rome,
        }
        assert self.cleaned(schema, payload) == {
            "plain": {"city": "Rome"},
            "ref": {"city": "Rome"},
            "maybe": {"city": "Rome"},
            "list": [{"city": "Rome"}, {"city": None}],
            "map": {"a": {"city": "Rome"}},
            "free": rome,
        }

    def test_not_where_it_cannot_be_told_which_object_is_meant(self) -> None:
        one, other = payload_of({"a": TEXT, "b": TEXT}), payload_of({"a": {"type": ["null", "string"]}})
        schema = payload_of({"x": {"anyOf": [one, other]}})
        assert self.cleaned(schema, {"x": {"a": None}}) == {"x": {"a": None}}

    def test_in_a_schema_that_contains_itself(self) -> None:
        node = payload_of({"next": {"$ref": "#/$defs/Node"}, "name": TEXT})
        schema = payload_of({"head": {"$ref": "#/$defs/Node"}}, defs={"Node": node})
        payload: JsonObject = {"name": None}
        for _ in range(40):
            payload = {"next": payload, "name": None}
        cleaned = self.cleaned(schema, {"head": payload})
        assert "None" not in repr(cleaned)
