"""Backups of SQLite, MariaDB and PostgreSQL: taken while the database is in use, and put in the place of another."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from sqlalchemy import func, insert, select, text

from core.contracts.errors import HomeInUse, StorageError
from core.settings import Settings
from core.storage import schema, server_tools, tables
from core.storage.backup import back_up
from core.storage.backup_file import ENDINGS, NoBackup
from core.storage.opening import StoredDatabase, database_of
from core.storage.restore import Restored, restore
from core.storage.row_values import Fingerprint, plain, select_rows
from tests.support import nasty_rows
from tests.support.database_servers import PASSWORD, ServersOfTests

NOW_MS = 1_795_196_220_000
DIALECTS = ("sqlite", "mariadb", "postgresql")
SERVERS = tuple(pytest.param(dialect, marks=pytest.mark.service) for dialect in DIALECTS[1:])
everywhere = pytest.mark.parametrize("dialect", ["sqlite", *SERVERS])
on_servers = pytest.mark.parametrize("dialect", SERVERS)

New = Callable[[str], Settings]


@pytest.fixture
def new(database_servers: ServersOfTests, tmp_path: Path) -> New:
    """Return what names a database of a dialect that does not exist yet, in a home of its own."""

    def settings(dialect: str) -> Settings:
        home = tmp_path / f"home-{len(list(tmp_path.iterdir()))}"
        home.mkdir()
        url = None if dialect == "sqlite" else SecretStr(database_servers.url(dialect))
        return Settings(home=home, database_url=url)

    return settings


async def ask(settings: Settings, fn: Callable[[Any], Any], *, write: bool = False) -> Any:
    database = database_of(settings)
    await database.start()
    try:
        return await (database.exclusively(fn) if write else database.read(fn))
    finally:
        await database.stop()


async def filled(settings: Settings) -> Settings:
    database = database_of(settings)
    await database.start()
    await schema.upgrade(database)
    await database.exclusively(nasty_rows.fill)
    await database.stop()
    return settings


def all_rows(conn: Any) -> dict[str, Fingerprint]:
    found = {}
    for table in (*tables.metadata.sorted_tables, *nasty_rows.plugin.sorted_tables):
        found[table.name] = Fingerprint()
        found[table.name].add(plain(table, row) for row in conn.execute(select_rows(table, conn.dialect.name)))
    return found


def add_message(conn: Any) -> int:
    message = {"session_id": 1, "role": "user", "text": "later", "at_ms": 1}
    conn.execute(insert(tables.messages), [message])
    return int(conn.execute(select(func.max(tables.messages.c.id))).scalar())


def hidden(folder: Path) -> list[str]:
    """Return the names of what was being written."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


async def put_back(settings: Settings, backup: Path, *, force: bool = False) -> Restored:
    return await restore(settings, backup, force=force, now_ms=NOW_MS)


@everywhere
async def test_a_backup_comes_back_with_every_row(dialect: str, new: New, tmp_path: Path) -> None:
    source = await filled(new(dialect))
    backup = tmp_path / f"backup{ENDINGS[dialect]}"
    await back_up(source, backup, replace=False)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert hidden(tmp_path) == []
    assert PASSWORD.encode() not in backup.read_bytes()

    target = new(dialect)
    done = await put_back(target, backup)
    assert done == Restored(schema=schema.HEAD, kept=None)
    assert await ask(target, all_rows) == await ask(source, all_rows)
    assert await ask(target, add_message, write=True) == nasty_rows.MESSAGES + 1
    assert await ask(target, schema.revision) == schema.HEAD


@everywhere
async def test_what_is_written_meanwhile_is_in_a_backup_whole_or_not_at_all(
    dialect: str, new: New, tmp_path: Path
) -> None:
    source = await filled(new(dialect))
    backup = tmp_path / "backup"
    database = database_of(source)
    await database.start()
    stop = asyncio.Event()
    written = 0

    def pair(number: int) -> Callable[[Any], None]:
        def fn(conn: Any) -> None:
            conn.execute(insert(tables.kv), [{"owner": "pair", "key": str(number), "value": "x"}])
            conn.execute(insert(tables.zones), [{"principal": f"t:{number}", "zone": "UTC"}])

        return fn

    async def write() -> None:
        nonlocal written
        while not stop.is_set():
            await database.transact(pair(written), durable=False)
            written += 1

    writer = asyncio.get_running_loop().create_task(write())
    await back_up(source, backup, replace=False)
    at_end = written
    stop.set()
    await writer
    await database.stop()

    def pairs(conn: Any) -> tuple[int, int]:
        kv = select(func.count()).select_from(tables.kv).where(tables.kv.c.owner == "pair")
        return conn.execute(kv).scalar(), conn.execute(select(func.count()).select_from(tables.zones)).scalar()

    target = new(dialect)
    await put_back(target, backup)
    keys, zones = await ask(target, pairs)
    assert keys == zones
    assert keys <= at_end
    assert at_end > 0


@everywhere
async def test_a_database_with_rows_is_replaced_by_force_alone_and_kept(
    dialect: str, new: New, tmp_path: Path
) -> None:
    source = await filled(new(dialect))
    backup = tmp_path / "backup"
    await back_up(source, backup, replace=False)
    before = await ask(source, all_rows)

    def change(conn: Any) -> None:
        add_message(conn)
        conn.execute(text("CREATE TABLE later_thing (id INTEGER NOT NULL PRIMARY KEY)"))
        conn.execute(text("INSERT INTO later_thing VALUES (1)"))

    await ask(source, change, write=True)
    changed = await ask(source, all_rows)
    with pytest.raises(StorageError, match="not empty") as refused:
        await put_back(source, backup)
    assert "--force" in refused.value.cure
    assert await ask(source, all_rows) == changed

    done = await put_back(source, backup, force=True)
    assert await ask(source, all_rows) == before
    assert done.kept is not None
    assert "before-restore-2026" in done.kept.name
    assert stat.S_IMODE(done.kept.stat().st_mode) == 0o600
    there = "SELECT count(*) FROM later_thing"
    with pytest.raises(Exception, match="later_thing"):
        await ask(source, lambda conn: conn.execute(text(there)).scalar())
    # What was there can be had back, and what is there then is kept under another name, though no time has passed.
    again = await put_back(source, done.kept, force=True)
    assert again.kept not in (None, done.kept)
    assert await ask(source, all_rows) == changed
    assert await ask(source, lambda conn: conn.execute(text(there)).scalar()) == 1


@everywhere
async def test_files_that_are_no_backup_of_it_are_refused_and_nothing_changes(
    dialect: str, new: New, tmp_path: Path
) -> None:
    source = await filled(new(dialect))
    before = await ask(source, all_rows)
    good = tmp_path / "good"
    await back_up(source, good, replace=False)
    heads = {
        "sqlite": b"SQLite format 3\x00" + b"\x00" * 100,
        "mariadb": b"-- MariaDB dump 10.19  Distrib 10.11.6\n--\n",
        "postgresql": b"PGDMP\x01\x0e\x00",
    }
    for other, head in heads.items():
        if other != dialect:
            (tmp_path / other).write_bytes(head)
            with pytest.raises(NoBackup, match=f"is a backup of {other}") as refused:
                await put_back(source, tmp_path / other, force=True)
            assert "rekku db copy" in refused.value.cure
    (tmp_path / "text").write_text("once upon a time")
    with pytest.raises(NoBackup, match="no backup of a database of Rekku"):
        await put_back(source, tmp_path / "text", force=True)
    with pytest.raises(NoBackup, match="cannot be read"):
        await put_back(source, tmp_path / "missing", force=True)
    whole = good.read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(StorageError):
        await put_back(source, tmp_path / "cut", force=True)
    assert await ask(source, all_rows) == before
    assert [path.name for path in source.home.iterdir() if "before-restore" in path.name] == []


@everywhere
@pytest.mark.parametrize("revision", ["9999", schema.UNFINISHED_COPY])
async def test_a_newer_schema_and_half_a_database_are_refused(
    dialect: str, revision: str, new: New, tmp_path: Path
) -> None:
    source, target = new(dialect), new(dialect)
    database = database_of(source)
    await database.start()
    await schema.upgrade(database)
    await database.transact(lambda conn: schema.set_revision(conn, revision))
    await database.stop()
    await back_up(source, tmp_path / "backup", replace=False)
    with pytest.raises(StorageError, match=r"has schema 9999, this version|was not whole"):
        await put_back(target, tmp_path / "backup")
    assert await ask(target, schema.revision) == ""


@on_servers
async def test_a_database_that_somebody_is_connected_to_is_not_replaced(
    dialect: str, new: New, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.database_use.LOOKS", 2)
    source = await filled(new(dialect))
    await back_up(source, tmp_path / "backup", replace=False)
    database = database_of(source)
    await database.start()
    with pytest.raises(HomeInUse, match="in use"):
        await put_back(source, tmp_path / "backup", force=True)
    await database.stop()


def option_files_left(command: str) -> list[str]:
    """Return the files with a password that a command line named and that are still there."""
    named = [part.partition("=")[2] for part in command.split() if part.startswith("--defaults-file=")]
    return [name for name in named if os.path.exists(name)]


TOOLS = {"mariadb": "mariadb-dump", "postgresql": "pg_dump"}


def wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> Path:
    """Let a script stand in front of a program."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@on_servers
async def test_the_password_is_on_no_command_line_and_no_other_secret_is_handed_on(
    dialect: str, new: New, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await filled(new(dialect))
    tool = TOOLS[dialect]
    real = server_tools.find_tool(dialect, [tool])
    seen = shlex.quote(str(tmp_path / "seen"))
    script = f'echo "$0 $@" > {seen}; env > {seen}.env; exec {real} "$@"'
    wrapped(tmp_path, monkeypatch, tool, script)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-of-the-model")
    monkeypatch.setenv("DB_PASS", PASSWORD)
    await back_up(source, tmp_path / "backup", replace=False)
    assert PASSWORD not in (tmp_path / "seen").read_text()
    environment = (tmp_path / "seen.env").read_text()
    assert "canary" not in environment
    assert "DB_PASS" not in environment
    assert (PASSWORD in environment) is (dialect == "postgresql")
    assert option_files_left((tmp_path / "seen").read_text()) == []


@on_servers
async def test_a_program_that_fails_is_heard_without_the_password(
    dialect: str, new: New, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await filled(new(dialect))
    wrapped(tmp_path, monkeypatch, TOOLS[dialect], f"echo half; echo 'no: {PASSWORD}!' >&2; exit 3")
    target = tmp_path / "backup"
    target.write_text("the one of yesterday")
    with pytest.raises(StorageError, match=r"failed: no: \[password\]!"):
        await back_up(source, target, replace=True)
    wrapped(tmp_path, monkeypatch, TOOLS[dialect], "echo '-- MariaDB dump 10'; echo PGDMP; exit 0")
    with pytest.raises(StorageError, match=r"ends in the middle|failed"):
        await back_up(source, target, replace=True)
    assert target.read_text() == "the one of yesterday"
    assert hidden(tmp_path) == []


@on_servers
async def test_a_program_that_is_missing_names_its_package(
    dialect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(server_tools, "_DEBIAN", tmp_path)
    settings = Settings(home=tmp_path, database_url=SecretStr(f"{dialect}://user:password@127.0.0.1:1/name"))
    with pytest.raises(StorageError, match=f"{TOOLS[dialect]} is not installed") as missing:
        await back_up(settings, tmp_path / "backup", replace=False)
    assert f"apt install {dialect}-client" in missing.value.cure
    assert os.listdir(tmp_path) == []


async def test_a_pg_dump_that_is_older_than_its_server_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = (
        "pg_dump: error: aborting because of server version mismatch\n"
        "pg_dump: detail: server version: 17.2 (Debian 17.2-1); pg_dump version: 15.18 (Debian)\n"
    )
    wrapped(tmp_path, monkeypatch, "pg_dump", f"printf %s {shlex.quote(told)} >&2; exit 1")
    wrapped(tmp_path, monkeypatch, "pg_restore", "exit 0")
    settings = Settings(home=tmp_path, database_url=SecretStr("postgresql://user:password@127.0.0.1:1/name"))
    with pytest.raises(StorageError, match=r"pg_dump 15\.18 is older than the server, which is 17\.2") as older:
        await back_up(settings, tmp_path / "backup", replace=False)
    assert "apt install postgresql-client-17" in older.value.cure


@on_servers
async def test_a_password_may_hold_every_character(
    dialect: str, new: New, tmp_path: Path, database_servers: ServersOfTests
) -> None:
    source = await filled(new(dialect))
    nasty = "p\"a'ss \\ #%$;@/"
    assert source.database_url is not None
    url = source.database_url.get_secret_value()
    user = f"u{url.rpartition('_')[2]}"

    def grant(conn: Any) -> None:
        secret = (conn.dialect.name == "mariadb" and nasty.replace("\\", "\\\\")) or nasty
        secret = secret.replace("'", "''").replace("%", "%%" if conn.dialect.name == "mariadb" else "%")
        if conn.dialect.name == "mariadb":
            conn.exec_driver_sql(f"CREATE USER {user}@127.0.0.1 IDENTIFIED BY '{secret}'")
            conn.exec_driver_sql(f"GRANT ALL ON *.* TO {user}@127.0.0.1")
        else:
            conn.exec_driver_sql(f"CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{secret}'")

    await ask(source, grant, write=True)
    name = url.rpartition("/")[2]
    port = database_servers.server(dialect).port
    same = f"{dialect}://{user}:{quote(nasty, safe='')}@127.0.0.1:{port}/{name}"
    settings = Settings(home=source.home, database_url=SecretStr(same))
    await back_up(settings, tmp_path / "backup", replace=False)
    await put_back(settings, tmp_path / "backup", force=True)
    assert (await ask(settings, all_rows))["messages"].rows == nasty_rows.MESSAGES


@pytest.mark.service
async def test_half_a_restore_on_mariadb_is_not_started_on(
    new: New, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await filled(new("mariadb"))
    before = await ask(source, all_rows)
    await back_up(source, tmp_path / "backup", replace=False)
    real = server_tools.find_tool("mariadb", ["mariadb"])
    folder = wrapped(tmp_path, monkeypatch, "mariadb", f'head -c 3000 | {real} "$@"; echo cut >&2; exit 1')
    with pytest.raises(StorageError, match=r"failed: .*cut"):
        await put_back(source, tmp_path / "backup", force=True)
    database: StoredDatabase = database_of(source)
    await database.start()
    with pytest.raises(StorageError, match="was being restored") as refused:
        await schema.upgrade(database)
    await database.stop()
    assert "rekku db restore" in refused.value.cure
    (folder / "mariadb").unlink()
    done = await put_back(source, tmp_path / "backup", force=True)
    assert done.kept is None, "the half of a restore is not worth keeping"
    assert await ask(source, all_rows) == before


@pytest.mark.service
async def test_a_restore_that_fails_on_postgresql_changes_nothing(new: New, tmp_path: Path) -> None:
    source = await filled(new("postgresql"))
    await back_up(source, tmp_path / "backup", replace=False)

    def in_the_way(conn: Any) -> None:
        add_message(conn)
        conn.execute(text("CREATE VIEW last_words AS SELECT text FROM messages"))

    await ask(source, in_the_way, write=True)
    before = await ask(source, all_rows)
    with pytest.raises(StorageError, match="last_words"):
        await put_back(source, tmp_path / "backup", force=True)
    assert await ask(source, all_rows) == before


async def test_what_is_not_merged_into_a_file_yet_is_kept_and_not_mixed_with_the_backup(
    new: New, tmp_path: Path
) -> None:
    source = await filled(new("sqlite"))
    backup = tmp_path / "backup"
    await back_up(source, backup, replace=False)
    # As a process leaves it that was killed: its last words stand in the log beside.
    path = source.database_path
    with closing(sqlite3.connect(path, isolation_level=None)) as killed:
        killed.execute("PRAGMA journal_mode=WAL")
        killed.execute("PRAGMA wal_autocheckpoint=0")
        killed.execute("INSERT INTO lanes VALUES ('last words')")
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", tmp_path / f"left{end}")
    for end in ("", "-wal"):
        shutil.copy(tmp_path / f"left{end}", f"{path}{end}")
    done = await put_back(source, backup, force=True)
    lanes = "SELECT count(*) FROM lanes WHERE lane = 'last words'"
    assert await ask(source, lambda conn: conn.execute(text(lanes)).scalar()) == 0
    assert done.kept is not None
    with closing(sqlite3.connect(done.kept)) as kept:
        assert kept.execute(lanes).fetchone() == (1,)


async def test_a_damaged_file_is_replaced_by_force_and_kept(new: New, tmp_path: Path) -> None:
    source = await filled(new("sqlite"))
    before = await ask(source, all_rows)
    backup = tmp_path / "backup"
    await back_up(source, backup, replace=False)
    source.database_path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 9000)
    damaged = source.database_path.read_bytes()
    with pytest.raises(StorageError, match="not empty"):
        await put_back(source, backup)
    done = await put_back(source, backup, force=True)
    assert done.kept is not None
    assert done.kept.read_bytes() == damaged
    assert await ask(source, all_rows) == before
