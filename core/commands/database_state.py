"""What can be seen of a database without changing it."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, text

from core.contracts.errors import StorageError, StorageUnavailable
from core.contracts.json import JsonObject
from core.services import outbox
from core.storage import schema, tables
from core.storage.held_connection import held
from core.storage.opening import StoredDatabase
from core.storage.sqlite import LEAST_FREE, SqliteDatabase

ANSWER_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """where: for people. size: bytes, with what is not merged into a file yet. damage: what SQLite's quick_check
    says, or ""; a server looks after its own files.
    """

    where: str
    dialect: str
    size: int
    damage: str
    schema: str
    counts: JsonObject

    @property
    def current(self) -> bool:
        """Whether the schema is this version's."""
        return self.schema == schema.HEAD

    @property
    def usable(self) -> bool:
        """Whether it is sound, and this version can use or upgrade it."""
        return not self.damage and self.schema <= schema.HEAD

    def as_json(self) -> JsonObject:
        """Return it for people and programs."""
        return {
            "database": self.where,
            "kind": self.dialect,
            "bytes": self.size,
            "check": self.damage or "ok",
            "schema": self.schema,
            "schema_of_this_version": schema.HEAD,
            **self.counts,
        }


async def database_state(database: StoredDatabase) -> DatabaseState:
    """Look at a database that was opened for reading, also one that is in use; raises StorageError."""
    damage = await database.read(_damage)
    revision = "" if damage else await database.read(schema.revision)
    return DatabaseState(
        where=database.where,
        dialect=database.dialect,
        size=await database.read(_size) if not damage else 0,
        damage=damage,
        schema=revision,
        counts=await database.read(_counts) if revision == schema.HEAD else {},
    )


async def why_not_writable(database: StoredDatabase) -> StorageError | None:
    """Return why nothing can be written to a database of this version's schema, None when it can; changes nothing.

    A server is asked to write and to undo it: only it knows whether it is read-only, what this user may, and what
    fits on its disk. Of a file, that would wait for a process that is writing to it.
    """
    if isinstance(database, SqliteDatabase):
        return _why_file_is_not_writable(database)
    try:
        async with asyncio.timeout(ANSWER_S), held(database, write=True) as connection:
            await connection.transact(_write_and_undo)
    except _Undone:
        return None
    except StorageError as error:
        return error
    except TimeoutError:
        return StorageUnavailable(
            f"The database at {database.where} does not answer to a write within {ANSWER_S:g} s."
        )
    raise AssertionError("it raises, so that nothing is committed")


def _why_file_is_not_writable(database: SqliteDatabase) -> StorageError | None:
    path = database.path
    if path is None:
        return None
    cure = "Let this user write to it; a file system that is read-only has to be mounted again."
    for place in (path, path.parent):
        if not os.access(place, os.W_OK):
            return StorageError(f"{place} cannot be written to.", cure=cure)
    try:
        # A file without a name, gone when it is closed: what has failed may still look as if it could be written to.
        os.close(os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o600))
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EIO):
            return StorageError(f"{path.parent} cannot be written to: {os.strerror(error.errno)}.", cure=cure)
    free = shutil.disk_usage(path.parent).free
    if free < LEAST_FREE:
        return StorageError(f"The disk of {path} is full: {free} bytes are free.", cure="Make room on it.")
    return None


class _Undone(Exception):
    """What was written is to be undone."""


def _write_and_undo(conn: Any) -> None:
    conn.execute(insert(tables.kv), {"owner": "core doctor", "key": os.urandom(8).hex(), "value": "-" * 20_000})
    raise _Undone


_SIZES = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
    "mariadb": "SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables "
    "WHERE table_schema = database()",
}


def _size(conn: Any) -> int:
    return int(conn.execute(text(_SIZES[conn.dialect.name])).scalar())


def _damage(conn: Any) -> str:
    if conn.dialect.name != "sqlite":
        return ""
    found = [row[0] for row in conn.execute(text("PRAGMA quick_check(5)"))]
    return "" if found == ["ok"] else "; ".join(map(str, found))


def _counts(conn: Any) -> JsonObject:
    open_inputs = select(func.count()).select_from(tables.inbox).where(tables.inbox.c.state != "done")
    waiting = select(func.count()).select_from(tables.approvals).where(tables.approvals.c.state == "waiting")
    letters = outbox.counts(conn)
    return {
        "open_inputs": conn.execute(open_inputs).scalar(),
        "turns": conn.execute(select(func.count()).select_from(tables.turns)).scalar(),
        "undelivered": letters.get("waiting", 0) + letters.get("sending", 0),
        "dead_letters": letters.get("dead", 0),
        "approvals_waiting": conn.execute(waiting).scalar(),
    }
