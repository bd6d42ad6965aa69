"""Putting a backup in the place of a database: whole, or so that nobody starts on the half of it."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, inspect, text

from core.settings import Settings
from core.storage import schema
from core.storage.backup import back_up
from core.storage.backup_file import (
    ENDINGS,
    NoBackup,
    check_mariadb,
    free_name,
    kind_of,
    remove_leftovers,
    usable_revision,
    without_version,
)
from core.storage.database_use import refuse_rows, refuse_served, tables_with_rows
from core.storage.opening import StoredDatabase, database_of
from core.storage.restore_file import FORCE, restore_file
from core.storage.server_tools import LOAD, absolute, access, find_tool, run_tool
from core.storage.server_url import server_of

if TYPE_CHECKING:
    from sqlalchemy import URL

_WHAT = "The backup was not restored"
_COPIED = re.compile(rb"^COPY [^\n]*alembic_version [^\n]*\n([^\n]*)\n\\\.$", re.MULTILINE)
_MOST_OUTPUT = 16 << 20
_BY_ENVIRONMENT = "--dbname=application_name=rekku"
"""Says that a database is meant, and leaves to the program's environment which one."""


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
    url = server_of(settings)
    dialect = "sqlite" if url is None else url.get_backend_name()
    if kind != dialect:
        raise NoBackup(
            f"{backup} is a backup of {kind}, and the database of the settings is {dialect}.",
            cure=f"Restore it into {kind}, then move that here with `rekku db copy`.",
        )
    stamp = f"before-restore-{datetime.fromtimestamp(now_ms / 1000, UTC):%Y%m%d-%H%M%S}"
    if url is None:
        path = await asyncio.to_thread(settings.database_path.resolve)
        found, file = await asyncio.to_thread(restore_file, path, backup, stamp, force=force)
        return Restored(schema=found, kept=file)
    await asyncio.to_thread(remove_leftovers, settings.home, r"before-restore-[0-9-]+\.(?:sql|dump)")
    kept = await asyncio.to_thread(free_name, settings.home / f"{stamp}{ENDINGS[dialect]}")
    return await _restore_server(settings, url, backup, kept, force=force)


async def _restore_server(settings: Settings, url: URL, backup: Path, kept: Path, *, force: bool) -> Restored:
    dialect = url.get_backend_name()
    program = find_tool(dialect, LOAD[dialect])
    if dialect == "mariadb":
        found = await asyncio.to_thread(check_mariadb, backup)
    else:
        found = await _revision_in_archive(program, url, backup)
    usable_revision(found, backup)
    database = database_of(settings)
    await database.start()
    try:
        await refuse_served(database)
        there = await database.read(lambda conn: inspect(conn).get_table_names())
        # What an interrupted restore has left is worth no keeping.
        half = await database.read(schema.revision) == schema.UNFINISHED_RESTORE
        rows = [] if half else await database.read(tables_with_rows)
        if rows and not force:
            refuse_rows(rows, database.where, FORCE)
        if rows:
            await back_up(settings, kept, replace=False)
        with access(url, dialect) as given:
            if dialect == "mariadb":
                await _clear(database)
                command = (program, *given.options, "--batch", "--", given.database)
                what = f"{database.where} is half restored"
                what += f", and what was there is kept in {kept}: restore that" if rows else ""
                await run_tool(command, given, dialect=dialect, what=what, feed=_blocks(backup))
                await database.transact(lambda conn: schema.set_revision(conn, found))
            else:
                # One transaction: what was there stays until everything else is.
                options = ("--single-transaction", "--clean", "--if-exists", "--no-owner", "--no-privileges")
                command = (program, *options, "--no-password", _BY_ENVIRONMENT, absolute(backup))
                await run_tool(command, given, dialect=dialect, what=_WHAT)
                await _drop_others(database, program, url, backup, there)
    finally:
        await database.stop()
    return Restored(schema=found, kept=kept if rows else None)


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
    listed = await _output((program, "--list", absolute(backup)), url)
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
        await run_tool((program, "--file=/dev/null", absolute(backup)), given, dialect="postgresql", what=_WHAT)
    script = await _output((program, "--data-only", "--table=alembic_version", "--file=-", absolute(backup)), url)
    found = _COPIED.search(script)
    return found.group(1).decode() if found else ""


async def _output(command: tuple[str, ...], url: URL) -> bytes:
    with access(url, "postgresql") as given, tempfile.TemporaryFile() as file:
        await run_tool(command, given, dialect="postgresql", what=_WHAT, stdout=file)
        file.seek(0)
        return await asyncio.to_thread(file.read, _MOST_OUTPUT)
