"""`rekku plugins check` of a plugin that is configured here; what `rekku doctor` cannot ask while nothing runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.commands.doctor import NOT_RUNNING
from core.commands.plugins import _configured
from core.commands.tree import command_line
from core.conformance.findings import Finding
from core.settings import load_settings

PLUGIN = """
from pydantic import BaseModel

from core.ai_plugin_base import AIPluginBase
from core.contracts.deliveries import Health


class Pond(AIPluginBase):
    "Looks into a pond."

    class Config(BaseModel):
        depth: int = 0

    async def examine(self):
        return Health(ok=self.config.depth < 5, detail=f"{self.config.depth} m", cure="Fill it up.")


PLUGIN_CLASS = Pond
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "pond.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.setenv("REKKU_HOME", str(tmp_path))
    monkeypatch.setenv("REKKU_ENGINE", "offline")
    return tmp_path


def found(home: Path, table: str) -> list[Finding]:
    (home / "rekku.toml").write_text(table, encoding="utf-8")
    return _configured(load_settings({"REKKU_ENGINE": "offline"}, home=home), home / "plugins" / "pond.py")


def test_a_plugin_is_asked_with_what_is_configured(home: Path) -> None:
    assert found(home, "") == []
    (wrong,) = found(home, "[plugins.pond]\ndepth = 7\n")
    assert (wrong.state, wrong.cure) == ("failed", "Fill it up.")
    assert wrong.detail == "With [plugins.pond] of rekku.toml: 7 m"
    (unusable,) = found(home, '[plugins.pond]\ndepth = "deep"\n')
    assert "it does not load" in unusable.detail
    (warned,) = found(home, "[plugins.pond]\ndepth = 2\n")
    assert warned.state == "warning", "it is well, and has a cure"


def test_a_program_of_an_mcp_server_that_is_not_there_is_told(home: Path) -> None:
    (home / "rekku.toml").write_text('[plugins.mcp.servers.x]\ncommand = "no-such-program"\n', encoding="utf-8")
    checked = CliRunner().invoke(command_line, ["plugins", "check", "mcp", "--json"])
    assert checked.exit_code == 1
    (wrong,) = (row for row in json.loads(checked.stdout) if row["state"] == "failed")
    assert wrong["check"] == "configured"
    assert "no-such-program" in wrong["detail"] or "mcp" in wrong["detail"], "or the SDK is missing"


def test_doctor_says_what_it_cannot_ask(home: Path) -> None:
    assert NOT_RUNNING in CliRunner().invoke(command_line, ["doctor"]).stdout
