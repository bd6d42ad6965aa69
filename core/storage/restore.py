"""Putting a backup in the place of a database: whole, or so that nobody starts on the half of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, inspect, text

from core.contracts.errors import StorageError
from core.settings import Settings
from core.storage import schema
from core.storage.backup import back_up
from core.storage.backup_file import (
    ENDINGS,
    NoBackup,
    check_mariadb,
    check_sqlite,
    kind_of,
    put_in_place,
    without_version,
)
from core.storage.database_use import refuse_rows, refuse_served, tables_with_rows
from core.storage.opening import StoredDatabase, database_of
from core.storage.server_tools import LOAD, access, find_tool, run_tool

if TYPE_CHECKING:
    from sqlalchemy import URL

_WHAT = "The backup was not restored"
_FORCE = "Say --force to replace what is there; it is kept beside."
_COPIED = re.compile(rb"^COPY [^\n]*alembic_version [^\n]*\n([^\n]*)\n\\\.$", re.MULTILINE)
_LARGEST_VERSION = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """schema: the revision of the backup. kept: where that is which was there before, None where nothing was."""

    schema: str
    kept: Path | None


async def restore(settings: Settings, backup: Path, *, force: bool, now_ms: int) -> Restored:
    """Put a backup in the place of the database of the settings, which no process uses.

    force: whether a database that holds rows may be replaced; it is kept beside. Raises NoBackup for a file that is
    none or one of another kind of database, StorageError when it is damaged, of a newer schema or refused.
    """
    kind = kind_of(backup)
    server = settings.database_server
    url = None
    if server is not None:
        from core.storage.server import normalized

        url = normalized(server.get_secret_value())
    dialect = "sqlite" if url is None else url.get_backend_name()
    if kind != dialect:
        raise NoBackup(
            f"{backup} is a backup of {kind}, and the database of the settings is {dialect}.",
            cure=f"Restore it into {kind}, then move that here with `rekku db copy`.",
        )
    stamp = f"before-restore-{datetime.fromtimestamp(now_ms / 1000, UTC):%Y%m%d-%H%M%S}"
    if url is None:
        return await _restore_file(settings.database_path.resolve(), backup, stamp, force=force)
    kept = settings.home / f"{stamp}{ENDINGS[dialect]}"
    return await _restore_server(settings, url, backup, kept, force=force)


async def _restore_file(path: Path, backup: Path, stamp: str, *, force: bool) -> Restored:
    if path.exists() and backup.samefile(path):
        raise NoBackup(f"{backup} is the database itself.", cure="Name another file.")
    if not force and path.exists():
        refuse_rows(await _rows_in_file(path), str(path), _FORCE)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        await asyncio.to_thread(_copy_file, backup, partial)
        found = _checked(await asyncio.to_thread(check_sqlite, partial), backup)
        kept = await asyncio.to_thread(_set_aside, path, path.with_name(f"{path.name}.{stamp}"))
        put_in_place(partial, path)
    except OSError as error:
        raise NoBackup(f"{_WHAT}: {path} cannot be written ({error.strerror}).") from error
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            partial.with_name(partial.name + end).unlink(missing_ok=True)
    return Restored(schema=found, kept=kept)


def _copy_file(source: Path, target: Path) -> None:
    with (
        source.open("rb") as file,
        os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as to,
    ):
        shutil.copyfileobj(file, to, 1 << 20)


async def _rows_in_file(path: Path) -> list[str]:
    from core.storage.sqlite import SqliteDatabase

    database = SqliteDatabase(path, read_only=True)
    try:
        await database.start()
        return await database.read(tables_with_rows)
    except StorageError:
        return ["a file that cannot be read"] if path.stat().st_size else []
    finally:
        await database.stop()


def _set_aside(path: Path, kept: Path) -> Path | None:
    """Give a database that is there another name besides, with what is not merged into its file yet."""
    if not path.exists():
        for end in ("-wal", "-shm"):  # of a file that is gone: they would be taken for those of the new one
            path.with_name(path.name + end).unlink(missing_ok=True)
        return None
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA journal_mode=DELETE")  # merges the log, so that one file holds everything
    for end in ("", "-wal"):
        part = path.with_name(path.name + end)
        if part.exists():
            _link(part, kept.with_name(kept.name + end))
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    return kept


def _link(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # a file system without links
        shutil.copy2(path, name)


def _checked(found: str, backup: Path) -> str:
    """Return a revision that this version can use; raises StorageError for another one."""
    if not found:
        raise NoBackup(f"{backup} holds no tables of Rekku.", cure="Name a file that `rekku db backup` has written.")
    if found > schema.HEAD:
        raise StorageError(
            f"{backup} has schema {found}, this version of Rekku knows up to {schema.HEAD}.",
            cure="Install the version that has written it.",
        )
    return found


async def _restore_server(settings: Settings, url: URL, backup: Path, kept: Path, *, force: bool) -> Restored:
    dialect = url.get_backend_name()
    program = find_tool(dialect, LOAD[dialect])
    if dialect == "mariadb":
        found = await asyncio.to_thread(check_mariadb, backup)
    else:
        found = await _revision_in_archive(program, url, backup)
    _checked(found, backup)
    database = database_of(settings)
    await database.start()
    try:
        await refuse_served(database)
        there = await database.read(lambda conn: inspect(conn).get_table_names())
        rows = await database.read(tables_with_rows)
        half = await database.read(schema.revision) == schema.UNFINISHED_RESTORE
        if rows and not half:
            if not force:
                refuse_rows(rows, database.where, _FORCE)
            await back_up(settings, kept, replace=False)
        keep = rows and not half
        with access(url, dialect) as given:
            if dialect == "mariadb":
                await _clear(database)
                command = (program, *given.options, "--batch", "--", given.database)
                await run_tool(command, given, dialect=dialect, what=_WHAT, feed=_blocks(backup))
                await database.transact(lambda conn: schema.set_revision(conn, found))
            else:
                # One transaction: what was there stays until everything else is.
                options = ("--single-transaction", "--clean", "--if-exists", "--no-owner", "--no-privileges")
                command = (program, *options, "--no-password", f"--dbname={_by_environment()}", str(backup))
                await run_tool(command, given, dialect=dialect, what=_WHAT)
                await _drop_others(database, program, url, backup, there)
    finally:
        await database.stop()
    return Restored(schema=found, kept=kept if keep else None)


def _by_environment() -> str:
    """Return a connection string that says nothing: everything is in the environment of the program."""
    return "application_name=rekku"


async def _blocks(backup: Path) -> AsyncIterator[bytes]:
    blocks = without_version(backup)
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block


async def _clear(database: StoredDatabase) -> None:
    """Mark MariaDB's database as half restored, and drop every table but the mark."""
    await database.transact(lambda conn: schema.set_revision(conn, schema.UNFINISHED_RESTORE))

    def drop(conn: Any) -> None:
        quote = conn.dialect.identifier_preparer.quote
        conn.execute(text("SET SESSION foreign_key_checks = 0"))
        try:
            for name in inspect(conn).get_table_names():
                if name != "alembic_version":
                    conn.execute(text(f"DROP TABLE {quote(name)}"))
        finally:
            conn.execute(text("SET SESSION foreign_key_checks = 1"))

    await database.exclusively(drop)


async def _drop_others(database: StoredDatabase, program: str, url: URL, backup: Path, there: list[str]) -> None:
    """Drop the tables of PostgreSQL that were there and that the backup does not know."""
    listed = await _output((program, "--list", str(backup)), url)
    known = set(re.findall(rb"^\d+; \d+ \d+ TABLE \S+ (\S+) ", listed, re.MULTILINE))
    others = [name for name in there if name.encode() not in known]

    def drop(conn: Any) -> None:
        found = MetaData()
        found.reflect(conn, only=others)
        quote = conn.dialect.identifier_preparer.quote
        for table in reversed(found.sorted_tables):
            if table.name in others:
                conn.execute(text(f"DROP TABLE {quote(table.name)} CASCADE"))

    if others:
        await database.exclusively(drop)


async def _revision_in_archive(program: str, url: URL, backup: Path) -> str:
    """Return the revision in an archive of PostgreSQL, which is read to its end."""
    with access(url, "postgresql") as given:
        await run_tool((program, "--file=/dev/null", str(backup)), given, dialect="postgresql", what=_WHAT)
    script = await _output((program, "--data-only", "--table=alembic_version", "--file=-", str(backup)), url)
    found = _COPIED.search(script)
    return found.group(1).decode() if found else ""


async def _output(command: tuple[str, ...], url: URL) -> bytes:
    with access(url, "postgresql") as given, tempfile.TemporaryFile() as file:
        await run_tool(command, given, dialect="postgresql", what=_WHAT, stdout=file)
        file.seek(0)
        return await asyncio.to_thread(file.read, _LARGEST_VERSION * 16)
