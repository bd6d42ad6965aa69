"""The pages on slots, background jobs and sidecars: their code runs, their lists are the code's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.ai_plugin_base import AIPluginBase
from core.contracts.actions import DisplayHints
from core.contracts.processes import Job, Jobs, Sidecar
from core.contracts.services import PluginContext
from core.contracts.slots import SLOTS
from core.testing import ScriptedEngine, message, running_app
from tests.docs.page_blocks import first_cells, place, plugins_of, signatures, text_of
from tests.docs.test_plugins_talking import named_in, parameters


def test_the_tables_are_those_of_the_code() -> None:
    assert first_cells("slots.md", "slot") == set(SLOTS)
    text = text_of("slots.md")
    assert all(f"| `{slot}` | `{form.__name__}` |" in text for slot, form in SLOTS.items())
    assert first_cells("slots.md", "hint") == {field.name for field in dataclasses.fields(DisplayHints)}
    for heading, protocol in (("member of a job", Job), ("member of a sidecar", Sidecar)):
        public = {name for name in vars(protocol) if not name.startswith("_")}
        text = text_of("processes.md").split(f"| {heading} |")[1].split("\n\n")[0]
        assert all(f"`{name}" in text for name in public), public


def test_the_signatures_are_those_of_the_code() -> None:
    shown = [[name for name in named_in(line) if name] for line in signatures("processes.md")]
    assert shown == [parameters(one) for one in (Jobs.start, Jobs.running, PluginContext.sidecar)]
    assert signatures("slots.md") == ["command_groups() -> Sequence[CommandGroup]"]
    assert parameters(AIPluginBase.command_groups) == []


@pytest.mark.parametrize("page", ["slots.md", "processes.md"])
def test_every_block_is_a_whole_plugin(page: str) -> None:
    assert len(plugins_of(page)) >= 1


async def test_the_pantry(tmp_path: Path) -> None:
    place(tmp_path, "slots.md", "Pantry")
    engine = ScriptedEngine(otherwise=message("ok"))
    async with running_app(home=tmp_path, engine=engine) as kit:
        await kit.interface.ask("Write a list, see @pantry and @nobody")
        assert any("@pantry: 3 of jam, 1 of honey" in m.content for m in engine.last.messages)
        assert "**pantry**: 4 jars" in (await kit.interface.ask("/status"))[0]
        (check,) = await kit.app.host.checks.answers()
        assert (check.name, check.health.ok, check.critical) == ("pantry.jam", True, False)


async def test_the_bars(tmp_path: Path) -> None:
    place(tmp_path, "slots.md", "Bars")
    engine = ScriptedEngine(message("Sold:\n\n```bars\ntea 3\n```"))
    async with running_app(home=tmp_path, engine=engine) as kit:
        assert await kit.interface.ask("what was sold?") == ["Sold:\n\n- tea: ###"]
        assert "a fenced block of the language bars" in str(engine.last)


async def test_the_baker(tmp_path: Path) -> None:
    place(tmp_path, "processes.md", "Baker")
    async with running_app(home=tmp_path) as kit:
        (told,) = await kit.interface.ask("/bake 2")
        assert told.startswith("It is in the oven")
        await kit.interface.until(lambda: "The bread is done: 2." in kit.interface.texts(), "the bread")


async def test_the_file_server(tmp_path: Path) -> None:
    place(tmp_path, "processes.md", "Files")
    async with running_app(home=tmp_path) as kit:
        assert await kit.interface.ask("/files") == ["It runs."]
