"""The pages on conversations, turn strategies, messages and calls: their code runs, their lists are the code's."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from core.ai_plugin_base import strategy
from core.contracts.hooks import SessionView
from core.contracts.messages import PluginMessages, Said
from core.contracts.services import PluginEngines, Services
from core.contracts.strategies import StepPlan
from core.testing import ScriptedEngine, message, running_app
from tests.docs.page_blocks import first_cells, place, plugins_of, signatures, text_of
from tests.flows.records import outcome


def names(cls: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def named_in(signature: str) -> list[str]:
    inside = signature.split("(", 1)[1].rsplit(")", 1)[0]
    return [part.split(":")[0].split("=")[0].strip() for part in inside.split(",") if part.strip() != "*"]


@pytest.mark.parametrize(
    ("page", "heading", "code"),
    [
        ("sessions.md", "field of `SessionView`", names(SessionView)),
        ("turn-strategies.md", "field of `StepPlan`", names(StepPlan)),
        ("messages.md", "field", names(Said)),
        ("calling.md", "argument", set(parameters(PluginEngines.ask))),
    ],
)
def test_the_tables_are_those_of_the_code(page: str, heading: str, code: set[str]) -> None:
    assert first_cells(page, heading) == code


@pytest.mark.parametrize(
    ("page", "functions"),
    [
        ("turn-strategies.md", [strategy]),
        ("messages.md", [PluginMessages.show, PluginMessages.note, PluginMessages.subscribe]),
        ("calling.md", [Services.call_plugin, PluginEngines.ask]),
    ],
)
def test_the_signatures_are_those_of_the_code(page: str, functions: list[Any]) -> None:
    shown = signatures(page)
    assert [named_in(line) for line in shown] == [parameters(function) for function in functions]
    for line, function in zip(shown, functions, strict=True):
        assert re.search(rf"\b{function.__name__}\(", line)
        defaults = {
            name: one.default
            for name, one in inspect.signature(function).parameters.items()
            if one.default is not inspect.Parameter.empty
        }
        for name, default in defaults.items():
            told = re.search(rf'\b{name}[^,=]*= ?("[^"]*"|[^,)]+)', line)
            assert told is not None, name
            assert eval(told.group(1)) == default, name


@pytest.mark.parametrize("command", ["new", "sessions", "switch", "close"])
def test_every_command_of_conversations_is_told(command: str) -> None:
    assert f"`/{command}" in text_of("sessions.md")


async def test_the_owl(tmp_path: Path) -> None:
    place(tmp_path, "sessions.md", "NightOwl")
    async with running_app(home=tmp_path, engine=ScriptedEngine(otherwise=message("hoot"))) as kit:
        await kit.interface.ask("hello")
        assert "Hoot" not in kit.engine.last.instructions
        await kit.interface.ask("hello", chat_id="owls")
        assert kit.engine.last.instructions.endswith("- Hoot now and then.")


async def test_the_strategies(tmp_path: Path) -> None:
    place(tmp_path, "turn-strategies.md", *plugins_of("turn-strategies.md"))
    engine = ScriptedEngine(message("1. roll"), ("roll_dice", {"sides": 2}), message("rolled"))
    async with running_app(home=tmp_path, engine=engine) as kit:
        await kit.interface.ask("/strategy plan_first")
        assert await kit.interface.ask("roll") == ["rolled"]
        assert "1. roll" in "".join(one.content for one in engine.requests[1].messages)
        await kit.interface.ask("/strategy one_step")
        engine.then(("roll_dice", {"sides": 2}))
        (told,) = await kit.interface.ask("roll")
        assert told in ("1", "2")


async def test_the_door(tmp_path: Path) -> None:
    place(tmp_path, "messages.md", "Door")
    async with running_app(home=tmp_path, engine=ScriptedEngine(otherwise=message("ok"))) as kit:
        await kit.interface.ask("/bell")
        await kit.interface.until(lambda: "*The bell rang.*" in kit.interface.texts(), "the bell")
        await kit.interface.ask("hello")
        assert "The door bell rang a moment ago." in "".join(one.content for one in kit.engine.last.messages)


async def test_the_briefing_and_the_gist(tmp_path: Path) -> None:
    place(tmp_path, "calling.md", "Briefing", "Gist")
    engine = ScriptedEngine(("gist", {"text": "long"}), "It is long.", message("done"))
    async with running_app(home=tmp_path, engine=engine) as kit:
        said = await kit.interface.ask("/briefing")
        assert said[0] == "Here is your briefing."
        assert re.fullmatch(r"Luck: [1-6]", said[1])
        await kit.interface.ask("what does it say")
        assert (await outcome(kit, "gist"))["output"] == '"It is long."'
