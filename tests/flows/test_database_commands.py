"""`rekku db copy`, `backup` and `restore` as their users meet them: real processes, on real servers."""

from __future__ import annotations

import json
import os
import select
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.storage import schema
from core.storage.home_lock import HomeLock
from core.storage.server_tools import find_tool
from tests.support.database_servers import PASSWORD, ServersOfTests
from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120.0
MANY = 30_000

Ended = subprocess.CompletedProcess[str]
on_servers = pytest.mark.parametrize(
    "dialect", [pytest.param(name, marks=pytest.mark.service) for name in ("mariadb", "postgresql")]
)


def environment(home: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
    own = {"HOME": str(home.parent), "TZ": "UTC", "REKKU_HOME": str(home), "REKKU_ENGINE": "offline"}
    return {**kept, **own, **(settings or {})}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "main.py", *arguments]


def rekku(home: Path, *arguments: str, settings: Mapping[str, str] | None = None) -> Ended:
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=environment(home, settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def answer(ended: Ended) -> Any:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def talked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home in which somebody has talked with Rekku."""
    home = tmp_path_factory.mktemp("talked") / "home"
    assert rekku(home, "chat", "--once", "roll a die 🙂").returncode == 0
    return home


def home_like(talked: Path, home: Path, *, messages: int = 0) -> Path:
    home.mkdir()
    with closing(sqlite3.connect(talked / "rekku.db")) as one, closing(sqlite3.connect(home / "rekku.db")) as other:
        one.backup(other)
        other.executemany(
            "INSERT INTO messages (session_id, turn_id, role, author, text, tainted, at_ms) "
            "VALUES (1, 0, 'user', 't:1', ?, 0, 1)",
            [(f"word {number}",) for number in range(messages)],
        )
        other.commit()
    return home


@on_servers
def test_an_installation_moves_to_a_server_and_back(
    dialect: str, talked: Path, tmp_path: Path, database_servers: ServersOfTests
) -> None:
    home, url = home_like(talked, tmp_path / "home"), database_servers.url(dialect)
    moved = rekku(home, "db", "copy", ".", url)
    assert moved.returncode == 0, moved.stderr
    assert "Each of them was read back and is the same." in moved.stdout
    assert "set DATABASE_URL" in moved.stdout
    assert PASSWORD not in moved.stdout + moved.stderr
    assert "rekku: check " in moved.stderr
    on_server = {"DATABASE_URL": url}
    before = answer(rekku(home, "db", "status", "--json"))
    after = answer(rekku(home, "db", "status", "--json", settings=on_server))
    assert after["kind"] == dialect
    for key in ("turns", "open_inputs", "dead_letters", "schema", "check"):
        assert after[key] == before[key]
    ledger = answer(rekku(home, "ledger", "list", "--json"))
    assert answer(rekku(home, "ledger", "list", "--json", settings=on_server)) == ledger
    # Life goes on there, and comes back with what was said meanwhile.
    assert rekku(home, "chat", "--once", "roll a die", settings=on_server).returncode == 0
    again = rekku(home, "db", "copy", url, "settings", "--json")
    assert again.returncode == 1
    assert "is not empty" in again.stderr
    (home / "rekku.db").unlink()
    back = rekku(home, "db", "copy", url, "settings", "--json")
    assert back.stderr == ""
    assert answer(back)["tables"]["turns"] == before["turns"] + 1
    assert len(answer(rekku(home, "ledger", "list", "--json"))) > len(ledger)
    assert rekku(home, "chat", "--once", "roll a die").returncode == 0


@on_servers
def test_a_copy_that_is_killed_goes_on(
    dialect: str, talked: Path, tmp_path: Path, database_servers: ServersOfTests
) -> None:
    home, url = home_like(talked, tmp_path / "home", messages=MANY), database_servers.url(dialect)
    with subprocess.Popen(
        command("db", "copy", ".", url),
        cwd=ROOT,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as copying:
        assert copying.stderr is not None
        told = next(line for line in copying.stderr if "copy messages" in line)
        copying.kill()
    assert int(told.split()[-1]) > 2 * MANY
    on_server = {"DATABASE_URL": url}
    refused = rekku(home, "chat", "--once", "hello", settings=on_server)
    assert refused.returncode == 2
    assert "copy that was not finished" in refused.stderr
    doctor = rekku(home, "doctor", settings=on_server)
    assert doctor.returncode == 1
    assert "copy that was not finished" in doctor.stdout
    assert "--resume" in rekku(home, "db", "copy", ".", url).stderr
    report = answer(rekku(home, "db", "copy", ".", url, "--resume", "--json"))
    assert report["there_before"] > 0
    assert report["tables"]["messages"] >= MANY
    assert rekku(home, "chat", "--once", "hello", settings=on_server).returncode == 0


def test_a_bar_on_a_terminal_shows_how_far_a_copy_is(talked: Path, tmp_path: Path) -> None:
    home = home_like(talked, tmp_path / "home")
    copy = [sys.executable, str(ROOT / "main.py"), "db", "copy", ".", f"sqlite:///{tmp_path / 'other.db'}"]
    with Terminal(copy, environment=environment(home), columns=200, timeout_s=TIMEOUT_S) as terminal:
        assert terminal.wait() == 0
        said = "\n".join(terminal.screen.lines)
    rows = answer(rekku(home, "db", "copy", ".", f"sqlite:///{tmp_path / 'third.db'}", "--json"))["rows"]
    assert f"{2 * rows}/{2 * rows}" in said
    assert "To use it, set DATABASE_URL" in said


def test_what_cannot_be_copied_is_told_without_passwords(talked: Path, tmp_path: Path) -> None:
    home = home_like(talked, tmp_path / "home")
    for url, status, what in (
        ("mysql://user:canary-password@", 2, "TO: must be"),
        ("mariadb://user:canary-password@127.0.0.1:1/name", 2, "cannot be reached"),
        (f"sqlite:///{home / 'rekku.db'}", 1, "the same database"),
        (".", 1, "the same database"),
    ):
        ended = rekku(home, "db", "copy", "settings", url)
        assert (ended.returncode, what in ended.stderr) == (status, True), ended.stderr
        assert "canary" not in ended.stderr + ended.stdout
    missing = rekku(home, "db", "copy", f"sqlite:///{tmp_path / 'none.db'}", ".")
    assert (missing.returncode, "There is no database" in missing.stderr) == (1, True)
    lock = HomeLock(home)
    lock.take()
    busy = rekku(home, "db", "copy", ".", f"sqlite:///{tmp_path / 'other.db'}")
    lock.release()
    assert (busy.returncode, "Another Rekku" in busy.stderr) == (2, True)


@on_servers
def test_a_backup_of_a_server_is_restored(
    dialect: str, talked: Path, tmp_path: Path, database_servers: ServersOfTests
) -> None:
    home, url = home_like(talked, tmp_path / "home"), database_servers.url(dialect)
    assert rekku(home, "db", "copy", ".", url).returncode == 0
    on_server, backup = {"DATABASE_URL": url}, tmp_path / "backup"
    made = answer(rekku(home, "db", "backup", str(backup), "--json", settings=on_server))
    assert made == {"path": str(backup), "bytes": backup.stat().st_size}
    assert "is there already" in rekku(home, "db", "backup", str(backup), settings=on_server).stderr
    assert rekku(home, "chat", "--once", "roll a die", settings=on_server).returncode == 0
    refused = rekku(home, "db", "restore", str(backup), settings=on_server)
    assert (refused.returncode, "not empty" in refused.stderr) == (1, True)
    done = answer(rekku(home, "db", "restore", str(backup), "--force", "--json", settings=on_server))
    assert done["schema"] == schema.HEAD
    assert Path(done["kept"]).parent == home
    turns = answer(rekku(home, "db", "status", "--json"))["turns"]
    assert answer(rekku(home, "db", "status", "--json", settings=on_server))["turns"] == turns
    wrong = rekku(home, "db", "restore", str(backup), "--force")
    assert (wrong.returncode, "rekku db copy" in wrong.stderr) == (1, True)


@on_servers
def test_a_restore_that_is_killed_leaves_no_program_and_no_password(
    dialect: str, talked: Path, tmp_path: Path, database_servers: ServersOfTests
) -> None:
    home, url = home_like(talked, tmp_path / "home"), database_servers.url(dialect)
    assert rekku(home, "db", "copy", ".", url).returncode == 0
    backup, programs, temporary = tmp_path / "backup", tmp_path / "bin", tmp_path / "tmp"
    assert rekku(home, "db", "backup", str(backup), settings={"DATABASE_URL": url}).returncode == 0
    programs.mkdir()
    temporary.mkdir()
    started = tmp_path / "started"
    os.mkfifo(started)
    # It hangs where the real one restores: for PostgreSQL at the third call, which comes after two that read.
    name = {"mariadb": "mariadb", "postgresql": "pg_restore"}[dialect]
    real = find_tool(dialect, [name])
    hangs = f"echo $$ > {started}; exec sleep 600"
    waits = hangs if dialect == "mariadb" else f'case "$*" in *--clean*) {hangs};; *) exec {real} "$@";; esac'
    (programs / name).write_text(f"#!/bin/sh\n{waits}\n")
    (programs / name).chmod(0o755)
    settings = {"DATABASE_URL": url, "PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(temporary)}
    with subprocess.Popen(
        command("db", "restore", str(backup), "--force"),
        cwd=ROOT,
        env=environment(home, settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as restoring:
        program = int(started.read_text())
        descriptor = os.pidfd_open(program)
        restoring.kill()
    ended, _, _ = select.select([descriptor], [], [], TIMEOUT_S)
    os.close(descriptor)
    assert ended, "the program goes on without anybody who watches it"
    assert list(temporary.rglob("*")) == []
    kept = next(home.glob("before-restore-*"))
    left = home / f".{kept.name}.0123abcd"
    left.write_bytes(b"half of a backup, as one leaves it that is killed while it writes")
    done = rekku(home, "db", "restore", str(backup), "--force", settings={"DATABASE_URL": url})
    assert done.returncode == 0, done.stderr
    assert not left.exists()
    assert kept.exists()


def test_a_file_is_restored_after_a_question_on_a_terminal(talked: Path, tmp_path: Path) -> None:
    home, backup = home_like(talked, tmp_path / "home"), tmp_path / "backup.db"
    assert rekku(home, "db", "backup", str(backup)).returncode == 0
    assert rekku(home, "chat", "--once", "roll a die").returncode == 0
    after = answer(rekku(home, "db", "status", "--json"))["turns"]
    lock = HomeLock(home)
    lock.take()
    busy = rekku(home, "db", "restore", str(backup), "--force")
    lock.release()
    assert (busy.returncode, "Stop it first" in busy.stderr) == (2, True)
    main = [sys.executable, str(ROOT / "main.py")]
    with Terminal(
        [*main, "db", "restore", str(backup), "--force"], environment=environment(home), columns=400
    ) as terminal:
        terminal.until(lambda screen: screen.cursor_line.endswith("[y/N]:"), "the question")
        terminal.type("n\r")
        assert terminal.wait() == 1
        assert terminal.screen.lines[-1].strip() == "rekku: Nothing was changed."
    assert answer(rekku(home, "db", "status", "--json"))["turns"] == after
    done = rekku(home, "db", "restore", str(backup), "--force", "--yes")
    assert done.returncode == 0
    assert "is kept in" in done.stdout
    status = answer(rekku(home, "db", "status", "--json"))
    assert (status["turns"], status["check"]) == (after - 1, "ok")
    assert len(list(home.glob("rekku.db.before-restore-*"))) == 1
    assert rekku(home, "chat", "--once", "roll a die").returncode == 0
