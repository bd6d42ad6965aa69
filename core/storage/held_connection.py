"""One connection that is kept for long: a snapshot that lasts for a whole copy, or one transaction after another."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from core.contracts.errors import StorageError
from core.storage import server_errors
from core.storage.opening import StoredDatabase
from core.storage.sqlite import SqliteDatabase

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")

_MARIADB = (
    "SET SESSION net_write_timeout = 3600, net_read_timeout = 3600, wait_timeout = 28800, "
    # A row whose id is 0 keeps it.
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'"
)
_POSTGRESQL = "SET idle_in_transaction_session_timeout TO 0"


class HeldConnection(Protocol):
    """A connection on which functions run one after another."""

    dialect: str
    where: str

    async def run(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(conn)` and commit nothing; who only reads stays on the snapshot of the first run."""

    async def transact(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(conn)` and commit, or undo it when it raises. The driver's errors come out as they are."""


@contextlib.asynccontextmanager
async def held(database: StoredDatabase, *, write: bool = False) -> AsyncIterator[HeldConnection]:
    """Hold a connection of a database that was started. Raises StorageError for what the database refuses."""
    try:
        if isinstance(database, SqliteDatabase):
            async with _held_file(database, write=write) as connection:
                yield connection
        else:
            from core.storage.server import ServerDatabase

            assert isinstance(database, ServerDatabase)
            async with database.held(write=write) as raw:
                on_server = _OnServer(raw, database.dialect, database.where)
                await raw.exec_driver_sql(_MARIADB if database.dialect == "mariadb" else _POSTGRESQL)
                await raw.commit()
                yield on_server
    except sqlite3.Error as error:
        raise StorageError(f"The database {database.where} refuses: {error}.", cure="See `rekku doctor`.") from error
    except (DBAPIError, OSError, EOFError) as error:
        cause = server_errors.cause_in(error)
        raise _as_storage_error(cause, database.where) from error


def _as_storage_error(error: BaseException, where: str) -> Exception:
    refused = server_errors.refused(error, where)
    if isinstance(refused, StorageError):
        return refused
    return StorageError(f"The database at {where} refuses: {server_errors.reason(error)}.")


@contextlib.asynccontextmanager
async def _held_file(database: SqliteDatabase, *, write: bool) -> AsyncIterator[HeldConnection]:
    conn = await asyncio.to_thread(database.held, write=write)
    try:
        yield _OnFile(conn, database.where, snapshot=not write)
    finally:
        await asyncio.to_thread(_close, conn)


def _close(conn: Connection) -> None:
    driver: Any = conn.connection.driver_connection
    if driver.in_transaction:
        driver.execute("ROLLBACK")
    Connection.close(conn)
    conn.engine.dispose()


class _OnFile:
    dialect = "sqlite"

    def __init__(self, conn: Connection, where: str, *, snapshot: bool) -> None:
        self._conn = conn
        self._snapshot = snapshot
        self._driver: Any = conn.connection.driver_connection
        self.where = where

    async def run(self, fn: Callable[[Any], T]) -> T:
        return await asyncio.to_thread(self._run, fn)

    def _run(self, fn: Callable[[Any], T]) -> T:
        if self._snapshot and not self._driver.in_transaction:
            self._driver.execute("BEGIN")
        return fn(self._conn)

    async def transact(self, fn: Callable[[Any], T]) -> T:
        return await asyncio.to_thread(self._transact, fn)

    def _transact(self, fn: Callable[[Any], T]) -> T:
        self._driver.execute("BEGIN IMMEDIATE")
        try:
            result = fn(self._conn)
        except BaseException:
            if self._driver.in_transaction:
                self._driver.execute("ROLLBACK")
            raise
        self._driver.execute("COMMIT")
        return result


class _OnServer:
    def __init__(self, conn: AsyncConnection, dialect: str, where: str) -> None:
        self._conn = conn
        self.dialect = dialect
        self.where = where

    async def run(self, fn: Callable[[Any], T]) -> T:
        return await self._conn.run_sync(fn)

    async def transact(self, fn: Callable[[Any], T]) -> T:
        try:
            result = await self._conn.run_sync(fn)
            await self._conn.commit()
        except BaseException:
            with contextlib.suppress(DBAPIError, OSError):
                await self._conn.rollback()
            raise
        return result
