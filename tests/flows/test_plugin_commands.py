"""`rekku plugins enable|disable|reload|config`: beside a process that runs, and without one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.testing import running_app
from tests.flows.test_command_line import Ended, answer, refused, rekku
from tests.flows.test_plugin_lifecycle import place, state

pytestmark = pytest.mark.sqlite

CONFIGURED = '''
from typing import Literal
from pydantic import BaseModel, Field, SecretStr
from core.ai_plugin_base import AIPluginBase, action

class Mail(AIPluginBase):
    class Config(BaseModel):
        host: str = Field(default="localhost", description="Where it listens.", min_length=1)
        port: int = Field(default=25, ge=1, le=65535)
        password: SecretStr
        api_key: str = ""
        verify: bool = True
        mode: Literal["fast", "safe"] = "safe"
        tags: list[str] = []

    @action(effect="read")
    async def mail(self) -> str:
        """Read mail."""
        return "none"

PLUGIN_CLASS = Mail
'''


async def test_a_process_that_runs_is_told_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.app.NOTICED_WITHIN_S", 0.2)
    file = place(tmp_path, "greet")

    async def run(*arguments: str) -> Ended:
        return await asyncio.to_thread(rekku, tmp_path, "plugins", *arguments)

    async with running_app(home=tmp_path) as kit:
        ended = await run("disable", "greet")
        assert (ended.returncode, ended.stdout) == (0, "greet is disabled, until it is enabled.\n")
        assert state(kit, "greet") == "disabled"
        listed = {row["name"]: row for row in answer(await run("list", "--json"))}
        assert (listed["greet"]["state"], listed["greet"]["reason"]) == (
            "disabled",
            "disabled by command (command line)",
        )
        ended = await run("enable", "greet")
        assert (ended.returncode, ended.stdout) == (0, "greet is in use.\n")
        file.write_text("class Broken(:")
        ended = await run("reload", "greet")
        assert ended.returncode == 1
        assert "greet goes on as it was" in ended.stderr
        assert "SyntaxError" in ended.stderr
        assert state(kit, "greet") == "active"


def test_without_a_process_the_next_start_takes_it_up(tmp_path: Path) -> None:
    place(tmp_path, "greet")
    assert "There is no database" in refused(rekku(tmp_path, "plugins", "disable", "greet"), 1)
    assert rekku(tmp_path, "chat", "--once", "/greet").stdout == "hello\n"
    ended = rekku(tmp_path, "plugins", "disable", "greet")
    assert ended.stdout == "greet is left out from the next start on, until it is enabled.\n"
    assert (
        "/greet is a command of the plugin greet, which is out of use"
        in rekku(tmp_path, "chat", "--once", "/greet").stdout
    )
    assert "`rekku plugins enable greet` enables it" in refused(rekku(tmp_path, "plugins", "reload", "greet"), 1)
    assert rekku(tmp_path, "plugins", "enable", "greet").stdout == "The next start uses greet.\n"
    assert rekku(tmp_path, "chat", "--once", "/greet").stdout == "hello\n"
    assert "No process runs" in rekku(tmp_path, "plugins", "reload", "greet").stdout
    assert "Did you mean greet?" in refused(rekku(tmp_path, "plugins", "disable", "gret"), 1)
    assert "belongs to the core" in refused(rekku(tmp_path, "plugins", "disable", "core"), 1)
    (tmp_path / "rekku.toml").write_text("[plugins.greet]\nenabled = false\n")
    assert "disabled in rekku.toml" in refused(rekku(tmp_path, "plugins", "enable", "greet"), 1)


def configured(home: Path, toml: str) -> None:
    (home / "plugins").mkdir(exist_ok=True)
    (home / "plugins" / "mail.py").write_text(CONFIGURED)
    (home / "rekku.toml").write_text(toml)


def test_what_is_in_force_and_from_where(tmp_path: Path) -> None:
    toml = '[plugins.mail]\npassword = "${MAIL_PASS}"\nport = 2525\nhost = "${MAIL_HOST:-mail.example}"\n'
    configured(tmp_path, toml + 'verify = "${MAIL_VERIFY:-false}"\napi_key = "${MAIL_API_KEY}"\n')
    secrets = {"MAIL_PASS": "correct horse", "MAIL_API_KEY": "battery staple"}
    ended = rekku(tmp_path, "plugins", "config", "mail", "--json", settings=secrets)
    told = answer(ended)
    assert (told["plugin"], told["enabled"], told["priority"], told["error"]) == ("mail", True, None, "")
    keys = {row.pop("key"): row for row in told["keys"]}
    assert keys["host"] == {
        "type": "string",
        "required": False,
        "default": "localhost",
        "value": "mail.example",
        "origin": "rekku.toml",
        "constraint": "at least 1 characters",
        "description": "Where it listens.",
    }
    assert (keys["port"]["value"], keys["port"]["constraint"]) == (2525, "at least 1, at most 65535")
    assert (keys["password"]["value"], keys["password"]["required"]) == ("set", True)
    assert keys["password"]["origin"] == "rekku.toml, with MAIL_PASS"
    assert (keys["api_key"]["value"], keys["api_key"]["default"]) == ("set", "")
    assert keys["verify"]["value"] is False
    assert (keys["mode"]["type"], keys["mode"]["value"], keys["mode"]["origin"]) == (
        "one of fast, safe",
        "safe",
        "default",
    )
    assert keys["tags"]["type"] == "list of string"
    shown = rekku(tmp_path, "plugins", "config", "mail", settings=secrets)
    assert "mail.example" in shown.stdout
    for secret in secrets.values():
        assert secret not in ended.stdout + ended.stderr + shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("prt = 1", "prt: there is no such setting. Did you mean port?"),
        ('verify = "yes"', "verify: must be true or false."),
        ("verify = 1", "verify: must be true or false."),
        ("port = 70000", "port: Input should be less than or equal to 65535."),
        ('host = "${NOWHERE}"', "the variable NOWHERE is not set."),
    ],
)
def test_errors_are_those_that_a_start_would_give(tmp_path: Path, toml: str, said: str) -> None:
    configured(tmp_path, f'[plugins.mail]\npassword = "correct horse"\n{toml}\n')
    ended = rekku(tmp_path, "plugins", "config", "mail", "--json")
    told = answer(ended, status=1)
    assert said in told["error"]
    assert {row["key"] for row in told["keys"]} >= {"host", "port", "password"}
    assert "correct horse" not in ended.stdout
    listed = {row["name"]: row for row in answer(rekku(tmp_path, "plugins", "list", "--json"))}
    assert (listed["mail"]["stage"], listed["mail"]["reason"]) == ("configuration", told["error"])


def test_what_has_no_settings_and_what_stands_for_a_key(tmp_path: Path) -> None:
    place(tmp_path, "greet")
    told = answer(rekku(tmp_path, "plugins", "config", "weather", "--json", settings={"WEATHER_FETCH_TIME": "90"}))
    minutes = next(row for row in told["keys"] if row["key"] == "fetch_minutes")
    assert (minutes["value"], minutes["origin"]) == (90, "WEATHER_FETCH_TIME (environment)")
    assert "There is no plugin wether" in refused(rekku(tmp_path, "plugins", "config", "wether"), 1)
    assert "no settings of its own" in rekku(tmp_path, "plugins", "config", "message").stdout
