"""Two hundred actions: a small prompt with a stable beginning, in which each action can still be reached."""

from __future__ import annotations

import json

import pytest

from core.contracts.engine import EngineCapabilities, EngineRequest
from core.settings import PromptSettings
from core.testing import ScriptedEngine, actions, message, running_app
from tests.flows.records import outcome
from tests.support.many_actions import DEEDS, places

WHOLE_PROMPT = 8 * 1024


def size(request: EngineRequest, *, schema: bool) -> int:
    sent = json.dumps(request.chat(schema_enforced=schema), ensure_ascii=False)
    return len(sent.encode()) + (len(json.dumps(request.response_schema, separators=(",", ":"))) if schema else 0)


def catalogue(request: EngineRequest) -> list[str]:
    return request.catalogue.splitlines()


@pytest.mark.parametrize("schema", [False, True])
async def test_two_hundred_actions_cost_eight_kilobytes_at_most(schema: bool) -> None:
    engine = ScriptedEngine(otherwise=message("ok"), capabilities=EngineCapabilities(json_schema=schema))
    async with running_app(engine=engine, plugins=places()) as kit:
        assert len(kit.app.registry.generation) > 200
        for text in ("ping", "and again"):
            await kit.interface.ask(text)
        first, second = engine.requests
        assert size(first, schema=schema) < WHOLE_PROMPT
        assert (first.instructions, first.catalogue, first.catalogue_brief) == (
            second.instructions,
            second.catalogue,
            second.catalogue_brief,
        )
        assert json.dumps(first.response_schema) == json.dumps(second.response_schema)
        assert all(f"{plugin.place}_water" in first.catalogue for plugin in places()), "each is named"


async def test_an_action_that_is_only_named_is_asked_about_and_then_used() -> None:
    house = places()
    engine = ScriptedEngine(
        actions(("describe_actions", {"about": "switch the lamps in the tower"})),
        actions(("tower_light", {"amount": 40})),
        message("The tower is lit."),
        capabilities=EngineCapabilities(json_schema=True),
    )
    async with running_app(engine=engine, plugins=house) as kit:
        assert await kit.interface.ask("light in the tower please") == ["The tower is lit."]
        assert house[-1].done == [("tower_light", {"amount": 40})]
        asked, then = engine.requests[0], engine.requests[1]
        assert "amount integer (How much" in next(m.content for m in then.messages if m.source == "outcomes"), (
            "it is told the fields"
        )
        assert "tower_light" not in json.dumps(asked.response_schema)
        assert "tower_light" in json.dumps(then.response_schema), "it may be said now"
        assert asked.catalogue == then.catalogue, "the beginning stays as it was"


async def test_a_wrong_guess_is_told_what_the_action_takes() -> None:
    house = places()
    engine = ScriptedEngine(
        actions(("tower_heat", {"degrees": 20})), actions(("tower_heat", {"amount": 20})), message("Warm.")
    )
    async with running_app(engine=engine, plugins=house) as kit:
        assert await kit.interface.ask("warm up the tower") == ["Warm."]
        correction = engine.requests[1].messages[-1].content
        assert "amount integer (How much, from 0 to 100.)" in correction
        assert house[-1].done == [("tower_heat", {"amount": 20})]


async def test_nobody_is_told_of_what_they_may_not_do() -> None:
    engine = ScriptedEngine(
        actions(("describe_actions", {"names": ["tower_light"], "about": "light"})),
        message("No."),
        actions(("describe_actions", {"about": "zzz"})),
        message("Nothing."),
    )
    async with running_app(engine=engine, plugins=places(), access="open") as kit:
        await kit.interface.ask("light", user_id="guest")  # these actions are for users and up
        assert "tower" not in engine.requests[0].catalogue
        assert (await outcome(kit, "describe_actions"))["status"] == "failed"
        await kit.interface.ask("anything")
        assert (await outcome(kit, "describe_actions"))["status"] == "failed"


async def test_what_the_operator_wants_to_be_told_whole_goes_first() -> None:
    engine = ScriptedEngine(otherwise=message("ok"))
    prompt = PromptSettings(whole_actions=("tower_*",))
    async with running_app(engine=engine, plugins=places(), prompt=prompt) as kit:
        await kit.interface.ask("ping")
        lines = catalogue(engine.last)
        for deed in DEEDS:
            assert any(line.startswith(f"tower_{deed}: ") and "amount integer" in line for line in lines)


async def test_a_few_actions_are_all_told_and_nothing_is_to_be_asked() -> None:
    engine = ScriptedEngine(otherwise=message("ok"))
    async with running_app(engine=engine) as kit:
        await kit.interface.ask("ping")
        assert "describe_actions" not in engine.last.catalogue
        assert "describe_actions" not in [spec.type for spec in engine.last.actions]


async def test_the_offline_engine_reaches_every_one_of_them() -> None:
    house = places()
    async with running_app(plugins=house, chain=("offline",)) as kit:
        for plugin in house[::8]:
            for deed in DEEDS:
                await kit.interface.ask(f"{deed} the {plugin.place} at 7")
            assert plugin.done == [(f"{plugin.place}_{deed}", {"amount": 7}) for deed in DEEDS]
