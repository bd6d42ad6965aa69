"""`rekku ledger list` shows actions as their plugins say that people are shown them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.commands.shown_payload import shown_payload
from core.commands.tree import command_line
from core.contracts.actions import DisplayHints
from core.testing import ScriptedEngine, message, running_app

DIGGER = """
from core.ai_plugin_base import AIPluginBase, action
from core.contracts.actions import DisplayHints


class Digger(AIPluginBase):
    @action(effect="local", display=DisplayHints(verb="digs", command_field="how"))
    async def dig(self, how: str, deep: int = 1) -> str:
        \"\"\"Dig.\"\"\"
        return "dug"


PLUGIN_CLASS = Digger
"""


def test_a_line_of_the_ledger_is_shown_in_the_words_of_its_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "plugins" / "digger.py"
    plugin.parent.mkdir()
    plugin.write_text(DIGGER, encoding="utf-8")
    monkeypatch.setenv("REKKU_HOME", str(tmp_path))

    async def digs() -> None:
        engine = ScriptedEngine(("dig", {"how": "with a spade", "deep": 2}), message("done"))
        async with running_app(home=tmp_path, engine=engine) as kit:
            await kit.interface.ask("dig")

    asyncio.run(digs())
    run = CliRunner().invoke
    (line,) = (line for line in run(command_line, ["ledger", "list"]).stdout.splitlines() if "\tdig\t" in line)
    assert 'digs: with a spade {"deep":2}' in line
    (row,) = (r for r in json.loads(run(command_line, ["ledger", "list", "--json"]).stdout) if r["action"] == "dig")
    assert row["payload"] == {"how": "with a spade", "deep": 2}
    plugin.unlink()
    (line,) = (line for line in run(command_line, ["ledger", "list"]).stdout.splitlines() if "\tdig\t" in line)
    assert '{"how":"with a spade","deep":2}' in line, "a plugin that is gone has no hints"


@pytest.mark.parametrize(
    ("hints", "payload", "shown"),
    [
        (DisplayHints(), {"a": 1}, '{"a":1}'),
        (DisplayHints(verb="runs", command_field="c"), {"c": "ls\n-l"}, "runs: ls\n-l"),
        (
            DisplayHints(verb="edits", path_field="p", diff_field="d"),
            {"p": "a.txt", "d": "+1"},
            'edits: a.txt {"d":"+1"}',
        ),
        (DisplayHints(path_field="p", command_field="c"), {"p": "a", "c": "b"}, "a: b"),
        (DisplayHints(verb="sets a reminder"), {"text": "x"}, 'sets a reminder {"text":"x"}'),
        (DisplayHints(verb="runs", command_field="c"), {"c": ["ls"]}, 'runs {"c":["ls"]}'),
        (DisplayHints(verb="runs"), {}, "runs"),
        (DisplayHints(verb="runs", command_field="c"), ["no object"], '["no object"]'),
    ],
)
def test_nothing_of_a_payload_is_left_out(hints: DisplayHints, payload: object, shown: str) -> None:
    assert shown_payload(hints, payload) == shown
