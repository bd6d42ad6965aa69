"""`rekku plugins new` and `check`, as an author of a plugin uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.commands.tree import command_line
from core.registry.discovery import discover
from core.testing import actions, message, running_app

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home"
    monkeypatch.setenv("REKKU_HOME", str(place))
    monkeypatch.delenv("REKKU_PLUGIN_PATH", raising=False)
    return place


def rekku(*words: str) -> tuple[int, str, str]:
    result = RUNNER.invoke(command_line, ["plugins", *words])
    return result.exit_code, result.stdout, result.stderr


async def test_a_new_file_is_found_and_works(home: Path) -> None:
    status, said, _ = rekku("new", "coin")
    assert status == 0
    folder = home / "plugins"
    assert {path.name for path in folder.iterdir()} == {"coin.py", "_test_coin.py", "_coin_README.md"}
    assert f"python -m pytest {folder / '_test_coin.py'}" in said
    (line,) = (line.removeprefix("Test it:").strip() for line in said.splitlines() if "-m pytest" in line)
    assert line in (folder / "_coin_README.md").read_text(encoding="utf-8"), "one line, wherever it is read"
    assert "_coin_README.md" in (folder / "_test_coin.py").read_text(encoding="utf-8").splitlines()[0]
    assert "__" not in (folder / "coin.py").read_text(encoding="utf-8").replace("__future__", "")
    assert [one.name for one in discover("plugin", home=home) if one.folder == folder] == ["coin"]
    async with running_app(home=home, chain=("offline",)) as run:
        assert await run.interface.ask("coin greet Ada") == ["Hello, Ada!"]
        assert await run.interface.ask("/coin_greet Ada") == ["Hello, Ada!"]


async def test_a_new_folder_is_one_plugin(home: Path) -> None:
    assert rekku("new", "tea_timer", "--folder")[0] == 0
    assert [one.name for one in discover("plugin", home=home) if one.folder == home / "plugins/tea_timer"] == [
        "tea_timer"
    ]
    async with running_app(home=home) as run:
        run.engine.then(actions(("tea_timer_greet", {"name": "Ada"})), message("Done."))
        assert await run.interface.ask("greet Ada") == ["Done."]


def test_another_place_is_told_how_to_be_found(tmp_path: Path, home: Path) -> None:
    status, said, _ = rekku("new", "coin", "--into", str(tmp_path / "mine"))
    assert status == 0
    assert (tmp_path / "mine" / "coin.py").is_file()
    assert f"REKKU_PLUGIN_PATH={tmp_path / 'mine'}" in said
    assert not home.exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Coin", "cannot be the name"),
        ("2coins", "cannot be the name"),
        ("../coin", "cannot be the name"),
        ("a" * 26, "cannot be the name"),
        ("json", "word of Python"),
        ("class", "word of Python"),
        ("core", "word of Python"),
        ("dice", "There is a plugin dice already"),
    ],
)
def test_bad_names_are_refused(home: Path, name: str, reason: str) -> None:
    status, _, complaint = rekku("new", name)
    assert status == 1
    assert reason in complaint
    assert not home.exists()


@pytest.mark.parametrize("there", ["coin.py", "_test_coin.py", "coin"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine", encoding="utf-8")
    status, _, complaint = rekku("new", "coin", "--into", str(tmp_path))
    assert status == 1
    assert f"{tmp_path / there} exists" in complaint
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    status, _, complaint = rekku("new", "coin", "--into", str(tmp_path / "file"))
    assert status == 1
    assert "is not a directory" in complaint


def test_check_tells_what_is_wrong_where_and_the_cure(tmp_path: Path) -> None:
    file = tmp_path / "sleepy.py"
    file.write_text(
        "import time\nfrom core.ai_plugin_base import AIPluginBase\n\nclass Sleepy(AIPluginBase):\n"
        "    async def start(self):\n        time.sleep(0.01)\n\nPLUGIN_CLASS = Sleepy\n",
        encoding="utf-8",
    )
    status, said, _ = rekku("check", str(file))
    assert status == 1
    assert "failed   blocking: start calls time.sleep on the event loop" in said
    assert "(sleepy.py:6)" in said
    assert "await asyncio.to_thread" in said


def test_check_takes_the_name_of_what_is_installed() -> None:
    status, said, _ = rekku("check", "dice", "--run", "--json")
    findings = json.loads(said)
    assert status == 0
    assert {one["state"] for one in findings} <= {"ok", "warning"}
    assert next(one for one in findings if one["check"] == "reads")["detail"].startswith("1 action that reads was")


@pytest.mark.parametrize(
    ("path", "reason"),
    [("no_such_plugin", "There is no file"), (".", "no plugin"), ("pyproject.toml", "no Python file")],
)
def test_check_of_what_is_no_plugin(path: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    status, _, complaint = rekku("check", path)
    assert status == 1
    assert reason in complaint
