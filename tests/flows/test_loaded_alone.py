"""Commands import the plugins that they need and no others: importing all of them takes seconds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.commands.tree import command_line
from core.commands.wanted_plugins import plugins_that_say
from core.settings import load_settings
from core.testing import running_app

LOUD = """
from pathlib import Path

from core.ai_plugin_base import AIPluginBase

with (Path(__file__).parent.parent / "imported").open("a") as file:
    file.write("loud ")


class Loud(AIPluginBase):
    "Says that it was imported."


PLUGIN_CLASS = Loud
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "loud.py").write_text(LOUD, encoding="utf-8")
    monkeypatch.setenv("REKKU_HOME", str(tmp_path))
    monkeypatch.setenv("REKKU_ENGINE", "offline")
    return tmp_path


def test_a_plugin_that_a_command_does_not_need_is_not_imported(home: Path) -> None:
    async def roll() -> None:
        async with running_app(home=home) as kit:
            await kit.interface.ask("/roll 6")

    asyncio.run(roll())
    assert (home / "imported").read_text() == "loud ", "it is imported where it is used"
    listed = CliRunner().invoke(command_line, ["ledger", "list"])
    assert (listed.exit_code, "roll_dice" in listed.stdout) == (0, True)
    unknown = CliRunner().invoke(command_line, ["nosuch"])
    assert (unknown.exit_code, "No such command 'nosuch'" in unknown.output) == (2, True)
    assert (home / "imported").read_text() == "loud "


def test_what_a_file_shares_with_others_is_read_with_it(home: Path) -> None:
    settings = load_settings({}, home=home)
    loud = {str(home / "plugins" / "loud.py")}
    assert not loud & plugins_that_say(settings, "command_groups")
    (home / "plugins" / "_shared.py").write_text("def command_groups(self): ...")
    assert loud <= plugins_that_say(settings, "command_groups")
    assert not loud & plugins_that_say(settings, "command_groups", ["nothing_of_it"])
