"""The parts of commands that a process test would be slow or clumsy for."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer

from core.app import App
from core.commands.conversation import approve_command
from core.commands.event_loop import run_and_leave
from core.commands.exit_status import CommandFailed, finish
from core.commands.home_use import process_using
from core.commands.outbox import _age_s
from core.commands.plugin_skeleton import how_to_test
from core.commands.startup import LARGEST_LOG, log_kept, mask_of, tables_of_nobody
from core.commands.stop_signals import StopAsked, StopSignals
from core.commands.stored import told_time
from core.contracts.errors import ConfigurationError, StorageError
from core.settings import Settings, load_settings
from core.storage.backup import back_up_file
from core.storage.backup_file import NoBackup
from core.storage.home_lock import HomeLock


@pytest.mark.parametrize(("text", "seconds"), [("7d", 604_800), ("12H", 43_200), (" 30m ", 1800), ("0s", 0)])
def test_ages(text: str, seconds: int) -> None:
    assert _age_s(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1w", "1.5h", "9999999d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="7d, 12h"):
        _age_s(text)


def test_times_are_told_in_the_zone_of_the_installation() -> None:
    assert told_time(1_767_225_600_000, "Europe/Rome") == "2026-01-01 01:00:00"
    assert told_time(0, "Europe/Rome") == "-"


@pytest.mark.parametrize(
    ("error", "status", "complaint"),
    [
        (CommandFailed("Not there.", cure="Look."), 1, "rekku: Not there. Look.\n"),
        (ConfigurationError("Wrong."), 2, "rekku: Wrong.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_are_statuses(
    error: BaseException, status: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> int:
        raise error

    with pytest.raises(typer.Exit) as ended:
        finish(command)
    assert ended.value.exit_code == status
    assert capsys.readouterr() == ("", complaint)


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_a_bug_is_told_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str
) -> None:
    monkeypatch.setenv("REKKU_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("REKKU_LOG_LEVEL", level)

    def command() -> int:
        raise ValueError("the key sk-very-secret\nis wrong")

    with pytest.raises(typer.Exit) as ended:
        finish(command)
    said = capsys.readouterr().err
    assert ended.value.exit_code == 70
    assert said.startswith("rekku: This is a bug in Rekku, please report it: ValueError: the key [OPENAI_API_KEY].")
    assert "sk-very-secret" not in said
    assert ("Traceback" in said) is (level == "DEBUG")


def test_a_thread_that_hangs_holds_nobody_up() -> None:
    held = threading.Event()

    async def look() -> str:
        hangs = asyncio.ensure_future(asyncio.to_thread(held.wait))
        answer = await asyncio.to_thread(str, 5)
        hangs.cancel()
        return answer

    assert run_and_leave(look()) == "5"
    held.set()


def test_which_process_uses_a_home(tmp_path: Path) -> None:
    assert process_using(tmp_path / "absent") == ""
    lock = HomeLock(tmp_path)
    lock.take()
    assert process_using(tmp_path) == str(os.getpid())
    lock.release()
    assert (tmp_path / "lock").read_text() == str(os.getpid())
    assert process_using(tmp_path) == ""
    lock.take()  # asking has left nothing behind
    lock.release()


def _settings(home: Path, env: dict[str, str] | None = None) -> Settings:
    return load_settings(env or {}, home=home)


def test_the_log_is_quiet_unless_its_level_is_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for env, seen in (({}, ["watch"]), ({"REKKU_LOG_LEVEL": "INFO"}, ["hello", "watch", "a component"])):
        settings = _settings(tmp_path, env)
        with log_kept(settings, mask_of(settings), quiet="WARNING"):
            structlog.get_logger("rekku.app").info("hello")
            structlog.get_logger("rekku.app").warning("watch out")
            structlog.get_logger("rekku.registry").error("a component does not work", reason="told elsewhere")
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == len(seen)
        assert all(text in line for text, line in zip(seen, lines, strict=True))


def test_the_log_file_is_its_owners_masked_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "rekku.log"
    path.write_bytes(b"x" * (LARGEST_LOG + 1))
    settings = _settings(tmp_path, {"OPENAI_API_KEY": "sk-very-secret"})
    with log_kept(settings, mask_of(settings), path=path):
        structlog.get_logger("rekku.app").info("started", key="sk-very-secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "key=[OPENAI_API_KEY]" in path.read_text()
    assert (tmp_path / "rekku.log.1").stat().st_size == LARGEST_LOG + 1


def test_a_log_that_cannot_be_written_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    (tmp_path / "rekku.log").mkdir()
    with (
        pytest.raises(ConfigurationError, match=r"rekku\.log cannot be written"),
        log_kept(settings, mask_of(settings), path=tmp_path / "rekku.log"),
    ):
        pass


async def test_tables_of_nobody(tmp_path: Path) -> None:
    (tmp_path / "rekku.toml").write_text("[plugins.dice]\nmax_sides=6\n[plugins.dcie]\nx=1\n[engines.gpt]\ny=1\n")
    app = App(_settings(tmp_path))
    await app.load()
    engine, plugin = tables_of_nobody(app)
    assert plugin == "[plugins.dcie] has no effect: there is no such plugin. Did you mean dice?"
    assert engine.startswith("[engines.gpt] has no effect: there is no such engine. Known: ")


def test_the_hint_says_what_a_test_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.setattr("core.commands.plugin_skeleton.find_spec", lambda name: None)
    get, run = how_to_test(tmp_path / "_test_lamp.py")
    assert get.startswith(f"make -C {root} setup   # once: the tests need pytest")
    assert run == f"cd {root} && {sys.executable} -m pytest {tmp_path}/_test_lamp.py"


def test_the_suggested_command_can_be_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.orig_argv", ["/opt/my env/python", "main.py", "chat"])
    monkeypatch.setattr("sys.argv", ["main.py", "chat"])
    assert approve_command(None).format(id="ab12") == "'/opt/my env/python' main.py chat --once '/approve ab12'"
    program = tmp_path / "rekku"
    program.touch(mode=0o755)
    assert approve_command("offline").format(id="ab12") == "rekku chat --engine offline --once '/approve ab12'"


async def test_the_first_signal_asks_and_gives_the_second_its_way() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    try:
        with StopSignals() as stop:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
            with pytest.raises(StopAsked):
                await stop.unless_asked(work())
            assert cancelled.is_set()
            assert stop.status == 128 + signal.SIGTERM
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


async def test_work_that_no_signal_disturbs() -> None:
    async def work() -> str:
        return "done"

    with StopSignals() as stop:
        assert await stop.unless_asked(work()) == "done"
        await stop.wait_for(timeout_s=0.001)
    assert (stop.number, stop.status) == (0, 0)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database of 2,000 rows."""
    path = tmp_path / "source.db"
    connection: Any = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT)")
    connection.executemany("INSERT INTO words (word) VALUES (?)", [(f"word {n}" * 10,) for n in range(2000)])
    connection.execute("CREATE INDEX by_word ON words (word)")
    connection.commit()
    connection.close()
    return path


async def test_a_backup_is_one_sound_file(database: Path, tmp_path: Path) -> None:
    writer = sqlite3.connect(database)
    writer.execute("INSERT INTO words (word) VALUES ('not committed')")  # a process in the middle of its work
    folder = tmp_path / "backups"
    folder.mkdir()
    await back_up_file(database, folder / "copy.db", replace=False)
    writer.close()
    assert [path.name for path in folder.iterdir()] == ["copy.db"]
    copy = sqlite3.connect(f"file:{folder / 'copy.db'}?mode=ro&immutable=1", uri=True)
    assert copy.execute("SELECT count(*) FROM words").fetchone() == (2000,)
    copy.close()


def test_a_backup_never_replaces_the_database_itself(database: Path) -> None:
    before = database.read_bytes()
    with pytest.raises(NoBackup, match="the database itself"):
        asyncio.run(back_up_file(database, database, replace=True))
    assert database.read_bytes() == before


def test_a_damaged_database_gives_no_backup(database: Path, tmp_path: Path) -> None:
    damaged = bytearray(database.read_bytes())
    damaged[8192:40960] = b"\xff" * (40960 - 8192)
    database.write_bytes(damaged)
    target = tmp_path / "copy.db"
    target.write_text("the backup of yesterday")
    with pytest.raises(StorageError, match="damaged") as refused:
        asyncio.run(back_up_file(database, target, replace=True))
    assert not isinstance(refused.value, NoBackup)
    assert target.read_text() == "the backup of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
