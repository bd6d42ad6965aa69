"""Catalogue entries: complaints for the model, the plugin's own check, running, and generations."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, cast

import pytest
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from core.ai_plugin_base import AIPluginBase, action, current_action
from core.contracts.actions import ActionContext, Untrusted
from core.contracts.errors import ActionFailed
from core.contracts.json import Json, JsonObject
from core.registry.catalogue import CatalogueEntry, Generation, build_entries

CONTEXT = cast(ActionContext, object())


def entry_of(schema: JsonObject, answer: Any = None, *, validate: Any = None) -> CatalogueEntry:
    class Plain:
        def get_supported_actions(self) -> JsonObject:
            return {"act": {"description": "Act.", "schema": schema}}

        async def handle_custom_action(self, action_type: str, payload: JsonObject) -> Any:
            return answer(payload) if callable(answer) else answer

    plugin: Any = Plain()
    if validate is not None:
        plugin.validate_payload = validate
    (entry,) = build_entries("plain", plugin)
    return entry


def fields(required: tuple[str, ...] = (), **properties: Json) -> JsonObject:
    return {"type": "object", "properties": properties, "required": list(required)}


INTEGER: JsonObject = {"type": "integer"}
INTEGERS: JsonObject = {"type": "array", "items": INTEGER, "uniqueItems": True}
MOMENT: JsonObject = {"type": "string", "format": "date-time"}
DAY: JsonObject = {"type": "string", "format": "date"}
TEXT: JsonObject = {"type": "string"}
MAYBE: JsonObject = {"anyOf": [{"type": "string", "minLength": 2}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("schema", "payload", "complaints"),
    [
        (fields(a=INTEGER), {"a": 1}, []),
        (fields(("a", "b"), a=INTEGER, b=TEXT), {"b": "x"}, ["a is missing: an integer."]),
        (fields(("a",), a={"enum": ["x", "y"]}), {}, ['a is missing: one of "x", "y".']),
        (fields(sides=INTEGER), {"side": 1}, ["side does not exist. Did you mean sides?"]),
        (fields(sides=INTEGER), {"colour": 1}, ["colour does not exist. Known: sides."]),
        (fields(), {"x": 1}, ["x does not exist."]),
        (fields() | {"patternProperties": {"^x": {}}}, {"x1": 1, "y": 2}, ["y does not exist."]),
        (fields(a=INTEGER), {"a": "six"}, ['a is "six" (a string); it must be an integer.']),
        (fields(a=INTEGER), {"a": True}, ["a is true (a boolean); it must be an integer."]),
        (fields(a=INTEGER), {"a": None}, ["a is null; it must be an integer."]),
        (fields(a={"type": "integer", "maximum": 6}), {"a": 7}, ["a is 7; it must be at most 6."]),
        (fields(a={"enum": ["x", "y"]}), {"a": "z"}, ['a is "z"; it must be one of "x", "y".']),
        (fields(a={"const": 1}), {"a": 2}, ["a is 2; it must be 1."]),
        (fields(a={"type": "string", "pattern": "^x"}), {"a": "y"}, ['a is "y"; it must be text that matches ^x.']),
        (fields(a=INTEGERS), {"a": [1, "x"]}, ['a[1] is "x" (a string); it must be an integer.']),
        (fields(a=fields(("b",), b=TEXT)), {"a": {}}, ["a.b is missing: a string."]),
        (fields(a=MAYBE), {"a": None}, []),
        (fields(a=MAYBE), {"a": "x"}, ['a is "x"; it must be at least 2 characters long.']),
        (fields(a=MAYBE), {"a": 4}, ["a is 4; it must be a string or null."]),
        (fields(a=MOMENT), {"a": "2026-11-20T18:30"}, []),
        (fields(a=MOMENT), {"a": "soon"}, ['a is "soon"; it must be a date-time.']),
        (fields(a=MOMENT), {"a": "1732"}, ['a is "1732"; it must be a date-time.']),
        (fields(a=DAY), {"a": "2026-02-30"}, ['a is "2026-02-30"; it must be a date.']),
        (fields(a=INTEGERS), {"a": [1, 1]}, ["a is [1,1]; its items must differ from each other."]),
    ],
)  # fmt: skip
def test_complaints_say_where_what_and_what_instead(schema: JsonObject, payload: Json, complaints: list[str]) -> None:
    assert entry_of(schema).complaints(payload) == complaints


def test_at_most_five_short_complaints() -> None:
    entry = entry_of(fields(a={"type": "array", "items": INTEGER}))
    complaints = entry.complaints({"a": ["x" * 10_000 + str(n) for n in range(10_000)], "b" * 5000: 1})
    assert len(complaints) == 5
    assert all(len(complaint) <= 301 for complaint in complaints)
    assert complaints[0].startswith('"bbb')


def test_a_lone_surrogate_can_be_shown() -> None:
    (complaint,) = entry_of(fields(a=INTEGER)).complaints({"a": "\ud800"})
    complaint.encode()


def test_a_schema_that_goes_in_circles_is_refused_not_raised() -> None:
    schema = fields(a={"$ref": "#/$defs/a"}) | {"$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert entry_of(schema).complaints({"a": 1}) == ["The payload is nested too deeply."]


@dataclass
class Point:
    x: int


class Report(BaseModel):
    day: date
    token: SecretStr = SecretStr("hunter2")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (None, None),
        ("text", "text"),
        ("half \ud800", "half ?"),
        ({"a": [1, 2.5, True, None]}, {"a": [1, 2.5, True, None]}),
        ((1, 2), [1, 2]),
        (Point(3), {"x": 3}),
        (Report(day=date(2026, 11, 20)), {"day": "2026-11-20", "token": "**********"}),
        ([datetime(2026, 11, 20, tzinfo=UTC)], ["2026-11-20T00:00:00Z"]),
        ({"a": float("nan")}, {"a": None}),
        ({"a": "half \ud800"}, {"a": "half ?"}),
        (Untrusted("from outside"), Untrusted("from outside")),
        ({"page": Untrusted("from outside")}, Untrusted('{"page":{"text":"from outside"}}')),
    ],
)
async def test_results_are_json_or_untrusted(answer: Any, result: Any) -> None:
    assert await entry_of(fields(), answer).run(CONTEXT, {}) == result


@pytest.mark.parametrize("answer", [object(), {"a": object()}, b"\xff", lambda _: lambda: 1])
async def test_what_is_no_json_fails(answer: Any) -> None:
    with pytest.raises(ActionFailed, match=r"plain\.act returned a .*, which cannot be said in JSON"):
        await entry_of(fields(), answer).run(CONTEXT, {})


async def test_a_result_in_a_circle_fails() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ActionFailed, match="cannot be said in JSON"):
        await entry_of(fields(), circle).run(CONTEXT, {})


async def test_a_handler_cannot_change_what_is_recorded() -> None:
    payload: JsonObject = {"a": [1]}
    await entry_of(fields(a={}), lambda given: given["a"].append(2)).run(CONTEXT, payload)
    assert payload == {"a": [1]}


class Sync(AIPluginBase):
    def __init__(self) -> None:
        self.threads: list[int] = []

    def get_supported_actions(self) -> dict[str, JsonObject]:
        return {"work": {"description": "Work."}, "end": {"description": "End."}, "next": {"description": "Next."}}

    def get_prompt_instructions(self, action_name: str) -> JsonObject:
        return {}

    def validate_payload(self, action_type: str, payload: JsonObject) -> list[str]:
        self.threads.append(threading.get_ident())
        return []

    def handle_custom_action(self, action_type: str, payload: JsonObject) -> Any:
        self.threads.append(threading.get_ident())
        if action_type == "end":
            raise SystemExit
        if action_type == "next":
            next(iter(()))
        time.sleep(0.05)
        assert current_action.get() is CONTEXT
        return "worked"


async def test_sync_handlers_and_checks_do_not_block_the_loop() -> None:
    plugin = Sync()
    entry = build_entries("sync", plugin)[0]
    running = asyncio.create_task(entry.run(CONTEXT, {}))
    ticks = 0
    while not running.done():
        ticks += 1
        await asyncio.sleep(0.005)
    assert running.result() == "worked"
    assert ticks > 2
    assert await entry.check({}) == []
    assert threading.get_ident() not in plugin.threads


async def test_a_handler_can_neither_end_the_loop_nor_hang_it() -> None:
    _, end, next_ = build_entries("sync", Sync())
    with pytest.raises(RuntimeError, match="tried to end the process"):
        await asyncio.wait_for(end.run(CONTEXT, {}), 5)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(next_.run(CONTEXT, {}), 5)


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


class Decorated(AIPluginBase):
    @action(effect="read")
    async def halve(self, ctx: ActionContext, value: Annotated[int, AfterValidator(_even), Field(ge=0)]) -> int:
        """Halve an even number."""
        assert ctx is CONTEXT
        return value // 2


async def test_a_decorated_method_runs_with_its_context_and_converters() -> None:
    (entry,) = build_entries("decorated", Decorated())
    assert entry.complaints({"value": 3}) == []
    assert await entry.check({"value": 3}) == ["value: must be even."]
    assert await entry.check({"value": 4}) == []
    assert await entry.run(CONTEXT, {"value": 4}) == 2
    with pytest.raises(LookupError):
        current_action.get()


@pytest.mark.parametrize(
    ("said", "complaints"),
    [
        ([], []),
        (None, []),
        (["no", "never"], ["no", "never"]),
        ([f"{n}" for n in range(9)], ["0", "1", "2", "3", "4"]),
    ],
)
async def test_the_plugins_own_check(said: Any, complaints: list[str]) -> None:
    assert await entry_of(fields(), validate=lambda type_, payload: said).check({}) == complaints


@pytest.mark.parametrize("said", ["no", [1], True])
async def test_a_check_that_answers_something_else_raises(said: Any) -> None:
    with pytest.raises(TypeError, match=r"plain\.validate_payload returned"):
        await entry_of(fields(), validate=lambda type_, payload: said).check({})


def test_a_generation_cannot_be_changed() -> None:
    (entry,) = build_entries("decorated", Decorated())
    generation = Generation(1, [entry])
    assert (generation["halve"], len(generation), dict(generation.commands)) == (entry, 1, {})
    with pytest.raises(TypeError):
        generation["x"] = entry  # type: ignore[index]
    with pytest.raises(TypeError):
        generation.commands["x"] = entry  # type: ignore[index]
