"""Commands that plugins bring to the command line: loaded and not started, beside those of Rekku itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from core.commands.tree import command_line
from core.registry.declared_groups import CORE_COMMANDS
from core.testing import running_app
from tests.docs.page_blocks import place

PLUGIN = """
import typer

from core.ai_plugin_base import AIPluginBase
from core.contracts.slots import CommandGroup

app = typer.Typer()


@app.command()
def status(code: int) -> None:
    raise typer.Exit(code)


@app.command()
def nothing() -> None:
    print("nothing")


class Garden(AIPluginBase):
    def command_groups(self):
        return [
            CommandGroup(name="water", description="Water it.", run=self.water),
            CommandGroup(name="garden", description="The garden.", run=app),
        ]

    async def start(self) -> None:
        raise RuntimeError("the command line starts nothing")

    def water(self, litres: int, again: bool = False) -> int:
        if litres > 9:
            raise ValueError("that is too much")
        print(litres, again, self.context.data_directory.name)
        return 3 if again else 0


PLUGIN_CLASS = Garden
"""
HEDGE = """
from core.ai_plugin_base import AIPluginBase
from core.contracts.slots import CommandGroup


class Hedge(AIPluginBase):
    def command_groups(self):
        return [GROUP]


PLUGIN_CLASS = Hedge
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REKKU_HOME", str(tmp_path))
    monkeypatch.setenv("REKKU_ENGINE", "offline")
    return tmp_path


def written(home: Path, name: str, text: str) -> None:
    (home / "plugins").mkdir(exist_ok=True)
    (home / "plugins" / f"{name}.py").write_text(text, encoding="utf-8")


def rekku(*words: str) -> Result:
    return CliRunner().invoke(command_line, words)


async def first_start(home: Path) -> None:
    async with running_app(home=home):
        pass


def test_no_plugin_can_have_a_name_of_the_core() -> None:
    tree: Any = get_command(command_line)
    assert tree.commands.keys() == CORE_COMMANDS


def test_the_shelf(home: Path) -> None:
    place(home, "slots.md", "Shelf")

    asyncio.run(first_start(home))
    assert rekku("shelf", "add", "Emma").exit_code == 0
    assert rekku("shelf", "add", "Ulysses", "--first").exit_code == 0
    assert rekku("shelf", "list").stdout == "Ulysses\nEmma\n"
    assert "List all books." in rekku("shelf").output
    wrong = rekku("shelf", "ad")
    assert (wrong.exit_code, "No such command" in wrong.output) == (2, True)


def test_a_function_and_a_typer_app(home: Path) -> None:
    written(home, "garden", PLUGIN)
    watered = rekku("water", "2")
    assert (watered.exit_code, watered.stdout) == (0, "2 False garden\n")
    assert rekku("water", "2", "--again").exit_code == 3
    broken = rekku("water", "10")
    assert (broken.exit_code, broken.stdout) == (1, "")
    assert "The plugin garden: ValueError: that is too much" in broken.stderr
    assert "Traceback" not in broken.stderr
    assert rekku("water", "much").exit_code == 2
    assert rekku("garden", "status", "7").exit_code == 7
    assert rekku("garden", "nothing").stdout == "nothing\n"
    listed = json.loads(rekku("plugins", "commands", "--json").stdout)
    assert listed == [
        {"name": "water", "plugin": "garden", "description": "Water it."},
        {"name": "garden", "plugin": "garden", "description": "The garden."},
    ]


@pytest.mark.parametrize(
    ("group", "why"),
    [
        ('CommandGroup(name="doctor", description="", run=print)', "`rekku doctor` is a command of Rekku's own"),
        ('CommandGroup(name="Two words", description="", run=print)', "cannot be a name"),
        ('CommandGroup(name="x", description="", run={})', "has no command"),
        ('CommandGroup(name="x", description="", run={"y": 1})', "x y cannot be called"),
        ('"x"', "a str is no CommandGroup"),
        ('CommandGroup(name="water", description="", run=print)', "is a command of the plugin garden"),
    ],
)
def test_what_does_not_fit_is_an_error_of_the_load(home: Path, group: str, why: str) -> None:
    written(home, "garden", PLUGIN)
    written(home, "hedge", HEDGE.replace("[GROUP]", f"[{group}]"))
    rows = {row["name"]: row for row in json.loads(rekku("plugins", "list", "--json").stdout)}
    assert (rows["hedge"]["state"], rows["hedge"]["stage"]) == ("failed", "declaration")
    assert why in rows["hedge"]["reason"]
    assert rows["garden"]["state"] == "ok"


def test_a_command_that_nobody_has_names_the_plugins_that_do_not_work(home: Path) -> None:
    written(home, "hedge", HEDGE.replace("[GROUP]", "[1]"))
    unknown = rekku("hedge")
    assert unknown.exit_code == 2
    assert "The plugin hedge does not work (declaration)" in unknown.stderr


def test_a_command_of_a_plugin_that_is_out_of_use_says_so_and_what_to_do(home: Path) -> None:
    written(home, "garden", PLUGIN)
    (home / "rekku.toml").write_text("[plugins.garden]\nenabled = false", encoding="utf-8")
    disabled = rekku("water", "2")
    assert (disabled.exit_code, disabled.stdout) == (2, "")
    assert "`rekku water`: the plugin garden is out of use: disabled." in disabled.stderr
    assert "Remove `enabled = false` of [plugins.garden]" in disabled.stderr
    assert "No such command" not in disabled.stderr
    (home / "rekku.toml").unlink()
    asyncio.run(first_start(home))
    assert rekku("plugins", "disable", "garden").exit_code == 0
    assert "`rekku plugins enable garden` brings it back." in rekku("water", "2").stderr
    assert rekku("plugins", "enable", "garden").exit_code == 0
    written(home, "garden", f"import nothing_like_it\n{PLUGIN}")
    failed = rekku("water", "2")
    assert (failed.exit_code, "The plugin garden does not work (import): ModuleNotFoundError" in failed.stderr) == (
        2,
        True,
    )


def test_wrong_settings_are_told(home: Path) -> None:
    (home / "rekku.toml").write_text("REKKU_ENGINE = offline", encoding="utf-8")
    refused = rekku("shelf")
    assert refused.exit_code == 2
    assert "is not valid TOML" in refused.stderr
