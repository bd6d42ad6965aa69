"""The strict schema of a reply: what it accepts, what it cannot say, and that it is always the same."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from core.ai_plugin_base import AIPluginBase, action
from core.contracts.actions import ActionSpec
from core.turn.stages.response_schema import MAX_DEPTH, response_schema


def spec(type_: str, properties: dict[str, Any], required: tuple[str, ...] = (), **more: Any) -> ActionSpec:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }
    return ActionSpec(type=type_, description=f"What {type_} does.", schema=schema)


def one_field(field: Any, *, required: bool = True, definitions: Any = None) -> dict[str, Any] | None:
    """The strict form of a payload's only field."""
    schema = response_schema([spec("do", {"it": field}, ("it",) if required else (), **{"$defs": definitions or {}})])
    if schema is None:
        return None
    payload = schema["properties"]["actions"]["items"]["anyOf"][0]["properties"]["payload"]
    strict: dict[str, Any] = payload["properties"]["it"]
    return strict


def accepts(schema: dict[str, Any], type_: str, payload: dict[str, Any]) -> bool:
    Draft202012Validator.check_schema(schema)
    reply = {"actions": [{"type": type_, "payload": payload}]}
    return Draft202012Validator(schema).is_valid(reply)


ROLL = spec(
    "roll",
    {
        "sides": {"type": "integer", "minimum": 2, "maximum": 1000, "description": "How many faces."},
        "note": {"type": "string", "maxLength": 80, "default": ""},
    },
    ("sides",),
)
SAY = spec("message", {"text": {"type": "string"}}, ("text",))


def test_a_valid_reply_is_accepted_and_others_are_not() -> None:
    schema = response_schema([SAY, ROLL])
    assert schema is not None
    assert accepts(schema, "message", {"text": "hi"})
    assert accepts(schema, "roll", {"sides": 6, "note": "for luck"})
    assert accepts(schema, "roll", {"sides": 6, "note": None})
    assert not accepts(schema, "roll", {"sides": 6})
    assert not accepts(schema, "roll", {"sides": None, "note": None})
    assert not accepts(schema, "roll", {"text": "hi"})
    assert not accepts(schema, "message", {"text": "hi", "to": "x"})
    assert not accepts(schema, "unheard_of", {})
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"actions": []})
    assert not validator.is_valid({"actions": [], "more": 1})
    assert not validator.is_valid({})


def test_field_descriptions_are_in_it_and_action_descriptions_are_not() -> None:
    text = json.dumps(response_schema([SAY, ROLL]))
    assert text.count("How many faces. (at least 2, at most 1000)") == 1
    assert "What roll does." not in text


def walk(node: Any) -> list[dict[str, Any]]:
    """Every schema inside a strict schema."""
    found = [node]
    for child in [*node.get("properties", {}).values(), *node.get("anyOf", ())]:
        found += walk(child)
    return found + (walk(node["items"]) if "items" in node else [])


def test_only_what_strict_mode_knows_is_in_it() -> None:
    schema = response_schema([SAY, ROLL])
    assert schema is not None
    for node in walk(schema):
        known = {"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "description"}
        assert node.keys() <= known
        assert "type" in node or "anyOf" in node
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])


def test_it_is_the_same_text_every_time() -> None:
    assert json.dumps(response_schema([SAY, ROLL])) == json.dumps(response_schema([SAY, ROLL]))
    schema = response_schema([ROLL, SAY])
    assert schema is not None
    types = [v["properties"]["type"]["enum"] for v in schema["properties"]["actions"]["items"]["anyOf"]]
    assert types == [["roll"], ["message"]]


def test_the_specs_are_left_as_they_were() -> None:
    before = json.dumps(ROLL.schema)
    response_schema([ROLL])
    assert json.dumps(ROLL.schema) == before


@pytest.mark.parametrize(
    ("field", "strict"),
    [
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"type": ["string", "integer"]}, {"type": ["string", "integer", "null"]}),
        ({"enum": ["a", "b"]}, {"type": ["string", "null"], "enum": ["a", "b", None]}),
        ({"const": 1}, {"type": ["integer", "null"], "enum": [1, None]}),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            {"type": ["string", "null"]},
        ),
        (
            {"type": "array", "items": {"type": "string"}, "description": "Tags."},
            {
                "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
                "description": "Tags.",
            },
        ),
    ],
)
def test_an_optional_field_may_be_null(field: dict[str, Any], strict: dict[str, Any]) -> None:
    assert one_field(field, required=False) == strict


@pytest.mark.parametrize(
    "field",
    [
        {},
        True,
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "array"},
        {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "string"}},
        {"allOf": [{"type": "string"}, {"minLength": 1}]},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "https://example.org/schema"},
        {"anyOf": [{"type": "string"}, {}]},
        {"enum": []},
        {"enum": [["a"]]},
        {"type": "array", "items": {"description": "anything"}},
    ],
)
def test_what_cannot_be_said_strictly_makes_none_of_the_whole(field: Any) -> None:
    assert one_field(field) is None
    assert response_schema([SAY, spec("do", {"it": field}, ("it",))]) is None


def test_no_actions_have_no_schema() -> None:
    assert response_schema([]) is None


def test_an_action_without_fields_has_an_empty_payload() -> None:
    schema = response_schema([spec("time", {})])
    assert schema is not None
    assert accepts(schema, "time", {})
    assert not accepts(schema, "time", {"zone": "UTC"})


@pytest.mark.parametrize("alternation", ["anyOf", "oneOf"])
def test_references_are_written_out(alternation: str) -> None:
    definitions = {"Point": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}}
    field = {alternation: [{"$ref": "#/$defs/Point"}, {"type": "null"}], "description": "Where."}
    strict = one_field(field, definitions=definitions)
    assert strict is not None
    assert "$ref" not in json.dumps(strict)
    assert strict["description"] == "Where."
    assert Draft202012Validator(strict).is_valid({"x": 1.5})


@pytest.mark.parametrize(
    "node",
    [
        {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}},
        {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        {"$ref": "#/$defs/Node"},
    ],
)
def test_a_schema_that_contains_itself_cannot_be_said(node: dict[str, Any]) -> None:
    assert one_field({"$ref": "#/$defs/Node"}, definitions={"Node": node}) is None


def test_references_that_multiply_are_given_up_soon() -> None:
    names = [f"N{i}" for i in range(12)]
    definitions: dict[str, Any] = {
        name: {"anyOf": [{"$ref": f"#/$defs/{below}"}] * 10} for name, below in pairwise(names)
    }
    definitions[names[-1]] = {"type": "string"}
    assert one_field({"$ref": "#/$defs/N0"}, definitions=definitions) is None


def test_depth_is_bounded() -> None:
    def nested(levels: int) -> dict[str, Any]:
        field: dict[str, Any] = {"type": "string"}
        for _ in range(levels):
            field = {"type": "array", "items": field}
        return field

    assert one_field(nested(MAX_DEPTH - 4)) is not None
    assert one_field(nested(MAX_DEPTH - 3)) is None


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    name: str
    floor: int | None = None


class Everything(AIPluginBase):
    """Every annotation that a plugin author is likely to write."""

    @action(effect="read")
    async def everything(
        self,
        colour: Colour,
        when: datetime,
        size: Literal["s", "m"],
        tags: list[str],
        place: Place,
        count: Annotated[int, Field(ge=1, description="How many.")] = 1,
        colours: list[Colour] | None = None,
        where: Place | None = None,
        number: float | str = 0.5,
    ) -> str:
        """Take everything."""
        return ""


def test_what_decorated_methods_declare_can_be_said() -> None:
    declaration = Everything.declared_actions()["everything"].declaration
    schema = response_schema([ActionSpec(type="everything", description="x", schema=declaration["schema"])])
    assert schema is not None
    payload = {
        "colour": "red",
        "when": "2030-01-01T00:00:00Z",
        "size": "m",
        "tags": ["a"],
        "place": {"name": "here", "floor": None},
        "count": None,
        "colours": ["blue"],
        "where": None,
        "number": "many",
    }
    assert accepts(schema, "everything", payload)
    given_fields = {name: value for name, value in payload.items() if value is not None}
    assert Draft202012Validator(declaration["schema"]).is_valid(given_fields)
    assert not accepts(schema, "everything", {**payload, "colour": "green"})
    assert not accepts(schema, "everything", {**payload, "place": {"name": "here"}})
    assert "date-time" in json.dumps(schema)


SCALAR = st.sampled_from(
    [
        {"type": "string", "minLength": 1},
        {"type": "integer"},
        {"type": "boolean"},
        {"enum": ["a", "b"]},
    ]
)
FIELD = st.recursive(
    SCALAR,
    lambda inner: st.one_of(
        st.builds(lambda item: {"type": "array", "items": item}, inner),
        st.builds(
            lambda members: {"type": "object", "properties": members, "required": sorted(members)[:1]},
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1),
        ),
    ),
    max_leaves=6,
)


def example(schema: dict[str, Any]) -> Any:
    """A value that strict `schema` asks for, with null for everything that may be absent."""
    if "anyOf" in schema:
        return None if {"type": "null"} in schema["anyOf"] else example(schema["anyOf"][0])
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "null" in types:
        return None
    if "enum" in schema:
        return schema["enum"][0]
    if types[0] == "object":
        return {name: example(field) for name, field in schema["properties"].items()}
    if types[0] == "array":
        return [example(schema["items"])]
    return {"string": "text", "integer": 1, "number": 1.5, "boolean": True}[types[0]]


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(field) for name, field in value.items() if field is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.sampled_from("xyz"), FIELD, min_size=1), st.data())
def test_what_the_strict_schema_asks_for_passes_the_payloads_own(fields: dict[str, Any], data: st.DataObject) -> None:
    required = tuple(name for name in fields if data.draw(st.booleans()))
    own = spec("do", fields, required)
    schema = response_schema([own])
    assert schema is not None
    payload_schema = schema["properties"]["actions"]["items"]["anyOf"][0]["properties"]["payload"]
    payload = example(payload_schema)
    assert accepts(schema, "do", payload)
    assert Draft202012Validator(own.schema).is_valid(without_nulls(payload))
