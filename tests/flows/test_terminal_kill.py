"""A command that runs while Rekku's process ends: nothing of it goes on, it is not repeated, and its user is told."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.terminal_plugin import processes_with

ROOT = Path(__file__).parents[2]
WITHIN_S = 30.0
SLEEPING = "sleep\0" + "743.5"
COMMANDS = {
    "once": "run echo x >> effects; sleep 743.5",
    "in a session": 'terminal session=s keep=true command="echo x >> effects; sleep 743.5"',
    "typed": "/sh echo x >> effects; sleep 743.5",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "rekku.toml").write_text('[plugins.terminal]\nsandbox = "none"\n')
    return home


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
    return {**kept, "HOME": str(home.parent), "TZ": "UTC", "REKKU_HOME": str(home)}


def _rekku(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


@contextmanager
def _running(home: Path, command: str) -> Iterator[subprocess.Popen[str]]:
    """Have a conversation in which the command has been started and sleeps."""
    with subprocess.Popen(
        [sys.executable, "main.py", "chat"],
        cwd=ROOT,
        env=_environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(f"{command}\n")
            process.stdin.flush()
            _until(lambda: bool(processes_with(SLEEPING)), "the command runs")
            yield process
        finally:
            process.kill()


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)


def _check(home: Path) -> None:
    """Go on in the same home, and look at what is said, what happened and what is noted."""
    said = "".join(_rekku(home, "chat", "--once", "/status").stdout for _ in range(2))
    assert "It is not known whether" in said
    assert "It may have happened; it is not repeated by itself." in said
    assert (home / "data" / "terminal" / "work" / "effects").read_text() == "x\n"
    assert processes_with(SLEEPING) == []
    with closing(sqlite3.connect(home / "rekku.db")) as database:
        rows = database.execute("SELECT status FROM ledger WHERE action LIKE 'terminal%'").fetchall()
    assert rows == [("unknown",)]


@pytest.mark.parametrize("how", COMMANDS)
def test_a_command_that_a_kill_cut_off_is_told_and_not_repeated(home: Path, how: str) -> None:
    with _running(home, COMMANDS[how]) as process:
        process.kill()
    _until(lambda: not processes_with(SLEEPING), "what it had started has ended")
    _check(home)


def test_a_command_that_a_shutdown_cut_off_is_told_and_not_repeated(home: Path) -> None:
    with _running(home, COMMANDS["once"]) as process:
        process.send_signal(signal.SIGTERM)
        process.wait(WITHIN_S)
        assert processes_with(SLEEPING) == []
    _check(home)
