"""The guide for plugin authors: its code runs as it stands, and its lists are those of the code."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.ai_plugin_base import action
from core.app import App
from core.contracts.hooks import HOOKS
from core.contracts.inputs import Principal
from core.settings import load_settings
from core.testing import RecordingInterface, ScriptedEngine, actions, message, running_app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
PLUGINS = {_name: block for block in BLOCKS for _name in re.findall(r"^PLUGIN_CLASS = (\w+)$", block, re.MULTILINE)}


def place(home: Path, *names: str) -> None:
    """Do what the guide says: put a plugin's file into the home."""
    folder = home / "plugins"
    folder.mkdir(parents=True)
    for name in names:
        (folder / f"{name.lower()}.py").write_text(PLUGINS[name], encoding="utf-8")


@asynccontextmanager
async def offline_app(home: Path) -> AsyncIterator[tuple[App, RecordingInterface]]:
    """Run what `rekku chat` runs in this home without a model, with a chat that records what is said."""
    chat = RecordingInterface()
    settings = load_settings({"TRAINER_IDS": f"{chat.name}:{chat.trainer}", "REKKU_ENGINE": "offline"}, home=home)
    async with App(settings, interfaces=(chat,)) as app:
        yield app, chat


def test_every_block_is_a_whole_plugin() -> None:
    assert len(PLUGINS) == len(BLOCKS) == 7
    for block in BLOCKS:
        ast.parse(block)


async def test_the_first_plugin_answers_as_the_guide_shows(tmp_path: Path) -> None:
    place(tmp_path, "Coin")
    async with offline_app(tmp_path) as (_app, chat):
        for said in ("toss 3 coins", "/toss 3"):
            (reply,) = await chat.ask(said)
            assert re.fullmatch(r"(heads|tails)(, (heads|tails)){2}", reply), reply
        (reply,) = await chat.ask("toss_coin count=many")
        assert "heads" not in reply
        assert "tails" not in reply


async def test_a_local_action_writes_once_and_is_read_again(tmp_path: Path) -> None:
    place(tmp_path, "Notes")
    async with offline_app(tmp_path) as (app, chat):
        assert await chat.ask("note buy milk") == ["Noted."]
        assert await chat.ask("how many notes") == ["1"]
        assert await app.database.read(lambda conn: conn.exec_driver_sql("SELECT text FROM notes_note").all()) == [
            ("buy milk",)
        ]


async def test_what_a_plugin_keeps_of_a_person_is_exported_and_erased(tmp_path: Path) -> None:
    place(tmp_path, "Diary")
    async with offline_app(tmp_path) as (app, chat):
        diary = app.registry.get("plugin", "diary")
        assert diary is not None
        trainer, bob = Principal(chat.name, chat.trainer), Principal(chat.name, "bob")
        await chat.ask("/diary it rained")
        assert await diary.instance.export_person(trainer) == ["it rained"]
        assert await diary.instance.export_person(bob) == []
        assert await diary.instance.erase_person(bob) == 0
        assert await diary.instance.erase_person(trainer) == 1
        assert await diary.instance.export_person(trainer) == []
        await app.database.transact(lambda conn: conn.exec_driver_sql("DROP TABLE diary_line") and None)
        assert await diary.instance.export_person(trainer) is None
        assert await diary.instance.erase_person(trainer) == 0


async def test_configuration_reaches_the_plugin_and_an_unknown_key_is_its_own_error(tmp_path: Path) -> None:
    place(tmp_path, "Greeter", "Coin")
    (tmp_path / "rekku.toml").write_text('[plugins.greeter]\ngreeting = "Ciao"\n', encoding="utf-8")
    async with offline_app(tmp_path) as (app, chat):
        assert await chat.ask("/greet Ada") == ["Ciao, Ada!"]
    (tmp_path / "rekku.toml").write_text('[plugins.greeter]\ngreting = "Ciao"\n', encoding="utf-8")
    async with offline_app(tmp_path) as (app, chat):
        broken = app.registry.get("plugin", "greeter")
        assert broken is not None
        assert broken.state == "failed"
        assert "greting" in broken.reason
        assert (await chat.ask("/toss"))[0] in ("heads", "tails")


async def test_a_hook_extends_the_rules(tmp_path: Path) -> None:
    place(tmp_path, "Polite")
    engine = ScriptedEngine(message("Please and thank you."))
    async with running_app(home=tmp_path, engine=engine) as run:
        await run.interface.ask("hello")
    assert engine.last.instructions.endswith("\n- Say please and thank you.")


async def test_periodic_jobs_are_planned(tmp_path: Path) -> None:
    place(tmp_path, "Gauge")
    async with running_app(home=tmp_path) as run:
        await run.app.periodic.run_now("gauge", "look")
        await run.app.periodic.run_now("gauge", "good_morning")


async def test_the_long_way_is_a_plugin_too(tmp_path: Path) -> None:
    place(tmp_path, "Echo")
    engine = ScriptedEngine(
        actions(("echo", {"text": "ho", "times": 11})),
        actions(("echo", {"text": "ho", "times": 3})),
        message("It said: ho ho ho"),
    )
    async with running_app(home=tmp_path, engine=engine) as run:
        assert await run.interface.ask("say ho") == ["It said: ho ho ho"]
        rows = await run.rows("SELECT action, status, output FROM ledger WHERE action = 'echo'")
    assert rows == [{"action": "echo", "status": "done", "output": '"ho ho ho"'}]


def test_the_arguments_of_action_are_all_explained() -> None:
    table = TEXT.split("## What an action declares")[1].split("## ")[0]
    first_cells = " ".join(re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE))
    documented = set(re.findall(r"`(\w+)`", first_cells))
    assert documented == set(inspect.signature(action).parameters)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_explained(hook: str) -> None:
    table = TEXT.split("## Changing a turn")[1].split("```")[0]
    assert f"`{hook}`" in table
