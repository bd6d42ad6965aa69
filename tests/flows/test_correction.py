"""What happens to a reply that is not valid: corrected, or given up with a plain sentence, and never run in part."""

from __future__ import annotations

import json
import time

import pytest

from core.contracts.engine import EngineReply, Source
from core.testing import ScriptedEngine, actions, message, running_app
from core.turn.pipeline import GAVE_UP
from tests.flows.records import statuses, turns
from tests.flows.workshop import Workshop

HTML = "<!doctype html><html><title>502</title>{actions}</html>"
HALF = '{"actions": [{"type": "press", "payload": {"button": "a"}}, {"type": "pre'


async def test_one_invalid_action_of_three_is_corrected_and_the_valid_ones_kept() -> None:
    workshop = Workshop()
    wrong = actions(("press", {"button": "a"}), ("press", {"knob": "b"}), ("press", {"button": "c"}))
    async with running_app(
        engine=ScriptedEngine(wrong, ("press", {"button": "b"}), message("Pressed.")), plugins=[workshop]
    ) as kit:
        assert await kit.interface.ask("press a, b, c") == ["Pressed."]
        assert workshop.done == ["press a", "press b", "press c"]
        complaint = kit.engine.requests[1].messages[-1]
        assert complaint.source is Source.CORRECTION
        assert "actions[1]" in complaint.content
        assert "Send exactly 1 action" in complaint.content
        assert len(await kit.rows("SELECT id FROM replies WHERE step = 0")) == 2


async def test_nothing_runs_when_the_retries_are_used_up() -> None:
    workshop = Workshop()
    wrong = actions(("press", {"button": "a"}), ("press", {"knob": "b"}))
    async with running_app(
        engine=ScriptedEngine(wrong, ("press", {"knob": 1}), ("press", {"knob": 2}), message("never")),
        plugins=[workshop],
        corrector_retries=2,
    ) as kit:
        assert await kit.interface.ask("press") == [GAVE_UP]
        assert workshop.done == []
        assert await statuses(kit) == []
        assert (await turns(kit))[0]["state"] == "error"
        assert len(kit.engine.requests) == 3


async def test_no_retries_mean_one_call() -> None:
    async with running_app(engine=ScriptedEngine(otherwise=HALF), plugins=[Workshop()], corrector_retries=0) as kit:
        assert await kit.interface.ask("press") == [GAVE_UP]
        assert len(kit.engine.requests) == 1


async def test_a_plugins_own_complaint_goes_back_to_the_model() -> None:
    workshop = Workshop()
    engine = ScriptedEngine(("press", {"button": "red"}), ("press", {"button": "green"}), message("Green."))
    async with running_app(engine=engine, plugins=[workshop]) as kit:
        assert await kit.interface.ask("press red") == ["Green."]
        assert workshop.done == ["press green"]
        assert "the red button is for show" in engine.requests[1].messages[-1].content


async def test_a_plugin_whose_check_raises_lets_nothing_through() -> None:
    class Broken(Workshop):
        name = "workshop"

        def validate_payload(self, action_type: str, payload: dict[str, object]) -> list[str]:
            raise RuntimeError("no idea")

    workshop = Broken()
    async with running_app(
        engine=ScriptedEngine(otherwise=("press", {"button": "a"})), plugins=[workshop], corrector_retries=1
    ) as kit:
        assert await kit.interface.ask("press") == [GAVE_UP]
        assert workshop.done == []


async def test_an_unknown_action_is_named_to_the_model() -> None:
    engine = ScriptedEngine(("mesage", {"text": "hi"}), message("hi"))
    async with running_app(engine=engine) as kit:
        assert await kit.interface.ask("hi") == ["hi"]
        assert "Did you mean message?" in engine.requests[1].messages[-1].content


@pytest.mark.parametrize(
    "unusable",
    [
        pytest.param("", id="empty"),
        pytest.param(HALF, id="half of a JSON"),
        pytest.param(
            EngineReply(text='{"actions": [{"type": "message"', finish_reason="length"), id="cut off by its length"
        ),
        pytest.param('{"actions": [{"type": "message", "type": "press", "payload": {}}]}', id="a key twice"),
        pytest.param('{"actions": {"type": "press"}}', id="no list"),
        pytest.param("[" * 500 + "]" * 500, id="nested deep"),
        pytest.param('{"actions": [{"type": "press", "payload": {"button": "\\ud83d"}}]}', id="half a character"),
    ],
)
async def test_what_cannot_be_read_goes_back_and_is_corrected(unusable: str | EngineReply) -> None:
    workshop = Workshop()
    async with running_app(engine=ScriptedEngine(unusable, message("Again.")), plugins=[workshop]) as kit:
        assert await kit.interface.ask("press") == ["Again."]
        assert workshop.done == []
        assert len(kit.engine.requests) == 2


async def test_a_reply_of_five_megabytes_is_refused_without_holding_up_the_others() -> None:
    huge = json.dumps({"actions": [{"type": "message", "payload": {"text": "x" * 5_000_000}}]})
    engine = ScriptedEngine(huge, message("Shorter."))
    async with running_app(engine=engine) as kit:
        began = time.monotonic()
        assert await kit.interface.ask("talk") == ["Shorter."]
        assert time.monotonic() - began < 3
        assert len(engine.last.messages[-2].content) < 10_000, "the model is not shown all of it again"


async def test_a_web_page_as_a_reply_runs_nothing() -> None:
    workshop = Workshop()
    async with running_app(engine=ScriptedEngine(HTML, otherwise=message("Sorry.")), plugins=[workshop]) as kit:
        assert len(await kit.interface.ask("press")) == 1
        assert workshop.done == []


async def test_lossless_blemishes_need_no_correction() -> None:
    workshop = Workshop()
    reply = "<think>hm</think>Sure!\n```json\n{'actions': [{'type': 'press', 'payload': {'button': 'a'},},],}\n```"
    async with running_app(engine=ScriptedEngine(reply, message("Done.")), plugins=[workshop]) as kit:
        assert await kit.interface.ask("press a") == ["Done."]
        assert workshop.done == ["press a"]
        assert len(kit.engine.requests) == 2
