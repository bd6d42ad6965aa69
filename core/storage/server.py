"""MariaDB (aiomysql) and PostgreSQL (asyncpg): the same transaction functions as on SQLite, on a pool of connections.

A function runs again whole after a deadlock, a conflict with another process or a connection that was lost before
its commit had begun. Where the commit itself was cut off nobody can know whether it happened: that is told as
StorageUnavailable, and whoever asked looks at the tables again, as after a crash of this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.contracts.errors import ConfigurationError, StorageError, StorageUnavailable, ValueRefused
from core.storage import server_errors
from core.storage.other_server import refuse_other
from core.storage.packet import packet_size
from core.storage.server_errors import Meaning
from core.storage.server_url import default_port, for_driver, normalized
from core.storage.transaction import CLOSED, ENDING, FALLEN_BEHIND, MAX_WAITING, as_error, refuse_ending

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

RECYCLED_AFTER_S = 1800
CONNECT_S = 10.0
LONGEST_S = 20.0
"""One run of a function, its wait for a connection included: a server that hangs must not hang all who ask."""

LOCK_WAIT_S = 10
ADVISORY_KEY = 0x52656B6B75
EXCLUSIVE_S = 3600.0
EXCLUSIVE_PAUSE_S = 0.5
EXCLUSIVE_TRIES = 600
RUNS = 8
FIRST_PAUSE_S = 0.005
STOP_S = 10.0
CLOSE_S = 3.0
OLDEST_MARIADB = (10, 5)
OLDEST_POSTGRESQL = (13, 0)

UNKNOWN_COMMIT = "The database went away while it committed: whether it did is not known yet."
CAUGHT = "A transaction function went on after an error of the database, which had undone its transaction."
_FAILED = "rekku_statement_failed"


class _Use(StrEnum):
    """What a connection is for; each use has a pool of its own."""

    DURABLE = "durable"
    LAZY = "lazy"
    """Commits that a power cut may undo, where the server can tell them apart."""
    READING = "reading"


CONNECTIONS = {_Use.DURABLE: 4, _Use.LAZY: 4, _Use.READING: 3}
"""The most of one process: a small server grants a hundred to all of them together."""


class ServerDatabase:
    """The `Database` of a server. `url`: mariadb://, mysql:// or postgresql://, with user, password and name."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.url = normalized(url)
        self.dialect = self.url.get_backend_name()
        self.where = f"{self.url.host or 'localhost'}:{self.url.port or default_port(self.url)}/{self.url.database}"
        self._read_only = read_only
        self._engines: dict[_Use, AsyncEngine] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._largest_packet = 0

    async def start(self) -> None:
        """Connect once, and create the database where it is missing and this user may; nothing when it is started.

        Raises StorageUnavailable when the server cannot be reached, and StorageError that says what to do when it
        lets nobody in or is too old.
        """
        if self._engines:
            return
        self._engines = {use: self._engine(use, connections) for use, connections in CONNECTIONS.items()}
        try:
            await self._look_at_server()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Finish what runs, and close."""
        engines, self._engines = self._engines, {}
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_S)
        for engine in engines.values():
            with contextlib.suppress(Exception):  # a server that is gone cannot be said goodbye to
                async with asyncio.timeout(STOP_S):
                    await engine.dispose()

    async def transact(self, fn: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run `fn(conn)` in a transaction; see `core.contracts.services.Database`."""
        if self._read_only:
            raise StorageError("This database was opened for reading.")
        return await self._to_the_end(self._repeated(fn, durable=durable, write=True))

    async def exclusively(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(conn)` in a transaction while no other process runs one of these, however long it takes.

        Raises StorageUnavailable when another one takes longer than a few minutes.
        """

        def alone(conn: Any) -> tuple[T] | None:
            if not self._locked(conn):
                return None
            try:
                return (fn(conn),)
            finally:
                self._unlock(conn)

        for _ in range(EXCLUSIVE_TRIES):
            work = self._repeated(alone, durable=True, write=True, longest_s=EXCLUSIVE_S)
            done = await self._to_the_end(work)
            if done is not None:
                return done[0]
            await asyncio.sleep(EXCLUSIVE_PAUSE_S)
        raise StorageUnavailable(
            f"Another process has been changing the schema of {self.where} for long.",
            cure="Wait until it is done, or end it.",
        )

    def _locked(self, conn: Any) -> bool:
        if self.dialect == "postgresql":
            taken = conn.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": ADVISORY_KEY}).scalar()
        else:
            taken = conn.execute(text("SELECT GET_LOCK(CONCAT('rekku ', LEFT(DATABASE(), 50)), 0)")).scalar()
        return bool(taken)

    def _unlock(self, conn: Any) -> None:
        """Let go of the lock where it is the connection's; PostgreSQL's ends with the transaction."""
        if self.dialect == "mariadb":
            with contextlib.suppress(DBAPIError):  # it is gone together with a connection that is gone
                conn.execute(text("SELECT RELEASE_LOCK(CONCAT('rekku ', LEFT(DATABASE(), 50)))"))

    async def read(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(conn)` on a snapshot that cannot be written to."""
        return await self._to_the_end(self._repeated(fn, durable=False, write=False))

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work that goes on when whoever awaits it is cancelled, as a transaction of SQLite's does."""
        if not self._engines:
            work.close()
            raise StorageUnavailable(CLOSED)
        if len(self._running) >= MAX_WAITING:
            work.close()
            raise StorageUnavailable(FALLEN_BEHIND)
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever awaited it may be gone; it is no news for the loop then

    async def _repeated(
        self, fn: Callable[[Any], T], *, durable: bool, write: bool, longest_s: float | None = None, runs: int = RUNS
    ) -> T:
        lost, violated = 0, ""
        for run in range(runs):
            try:
                return await self._run(fn, durable=durable, write=write, longest_s=longest_s)
            except StorageError:
                raise
            except Exception as error:
                cause = server_errors.cause_in(error)
                means = server_errors.meaning(cause)
                lost += means is Meaning.LOST
                again = means is Meaning.CONFLICT or (means is Meaning.LOST and lost == 1)
                if isinstance(cause, IntegrityError):
                    # Who looked first and sees it now does something else; the same once more is no conflict.
                    again = again and violated != str(cause.orig)
                    violated = str(cause.orig)
                if again and run < runs - 1:
                    await asyncio.sleep(FIRST_PAUSE_S * 2**run * random.random())
                    continue
                if means is Meaning.FINAL:
                    error = server_errors.refused(error, self.where)
                    raise error from error.__cause__
                if means is Meaning.CONFLICT and (violated or cause is not error):
                    raise
                raise server_errors.refused(cause, self.where) from error
        raise AssertionError("the last run returns or raises")

    async def _run(self, fn: Callable[[Any], T], *, durable: bool, write: bool, longest_s: float | None) -> T:
        """Run a function once. What the server says comes out as it is, but for what decides by itself."""
        committing = False
        # MariaDB has no commit without a flush, for one transaction alone.
        lazy = not durable and self.dialect == "postgresql"
        use = (_Use.LAZY if lazy else _Use.DURABLE) if write else _Use.READING
        try:
            async with asyncio.timeout(LONGEST_S if longest_s is None else longest_s):
                async with self._connection(use) as conn:
                    result: T = await conn.run_sync(self._guarded, fn)
                    if write:
                        committing = True
                        await conn.commit()
                    return result
        except (DBAPIError, OSError, EOFError) as error:  # TimeoutError is an OSError
            if committing and server_errors.meaning(error) is Meaning.LOST:
                raise StorageUnavailable(UNKNOWN_COMMIT, cure="See `rekku doctor`.") from error
            raise

    def _guarded(self, conn: Connection, fn: Callable[[Any], T]) -> T:
        conn.info.pop(_FAILED, None)
        for method in ENDING:
            setattr(conn, method, refuse_ending)
        try:
            result = fn(conn)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise  # our own deadline, which came through the statement that was waited for
            raised = as_error(error)
            if raised is error:
                raise
            raise raised from error
        finally:
            for method in ENDING:
                delattr(conn, method)
        if self.dialect == "postgresql" and conn.info.pop(_FAILED, False):
            raise StorageError(CAUGHT)  # its COMMIT would be a ROLLBACK, without a word
        return result

    def held(self, *, write: bool) -> contextlib.AbstractAsyncContextManager[AsyncConnection]:
        """Return a connection for one who keeps it for long: without deadline, and nothing runs again by itself."""
        return self._connection(_Use.DURABLE if write else _Use.READING)

    @contextlib.asynccontextmanager
    async def _connection(self, use: _Use) -> Any:
        if not self._engines:
            raise StorageUnavailable(CLOSED)
        conn = self._engines[use].connect()
        try:
            await conn.start()
        except (DBAPIError, OSError, EOFError, PoolTimeout) as error:
            raise server_errors.cannot_connect(error, self.where) from error
        try:
            yield conn
        finally:
            # Closing rolls back; a server that hangs does not even do that.
            with contextlib.suppress(DBAPIError, OSError):
                async with asyncio.timeout(CLOSE_S):
                    await conn.close()

    def _engine(self, use: _Use, connections: int) -> AsyncEngine:
        from sqlalchemy.ext.asyncio import create_async_engine

        mariadb = self.dialect == "mariadb"
        arguments: dict[str, Any] = {"timeout": CONNECT_S}
        if mariadb:
            # Strict: what does not fit is refused, and never cut off in silence.
            variables = f"sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout={LOCK_WAIT_S}"
            arguments = {"connect_timeout": CONNECT_S, "charset": "utf8mb4", "init_command": f"SET {variables}"}
        try:
            engine = create_async_engine(
                for_driver(self.url),
                pool_size=connections,
                max_overflow=0,
                pool_timeout=LONGEST_S,
                pool_recycle=RECYCLED_AFTER_S,
                # A transaction is always ended by us: a rollback more would cost a round trip.
                pool_reset_on_return=None,
                isolation_level="REPEATABLE READ" if use is _Use.READING else "READ COMMITTED",
                connect_args=arguments,
            )
        except (ImportError, NoSuchModuleError) as error:
            raise ConfigurationError(
                f"The driver for {self.dialect} is not installed ({error}).",
                cure="Install it: pip install asyncpg" if not mariadb else "Install it: pip install aiomysql",
            ) from error

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(connection: Any, record: Any) -> None:
            cursor = connection.cursor()
            if use is _Use.READING:
                cursor.execute(
                    "SET SESSION TRANSACTION READ ONLY" if mariadb else "SET default_transaction_read_only TO on"
                )
            if not mariadb:
                cursor.execute(f"SET lock_timeout TO '{LOCK_WAIT_S}s'")
                if use is _Use.LAZY:
                    cursor.execute("SET synchronous_commit TO off")
                connection.commit()
            cursor.close()
            if mariadb:
                connection.driver_connection.escape = partial(_escape, connection.driver_connection.escape)

        @event.listens_for(engine.sync_engine, "handle_error")
        def note(context: Any) -> None:
            if context.connection is not None and not context.is_disconnect:
                context.connection.info[_FAILED] = True

        if mariadb:
            event.listen(engine.sync_engine, "before_cursor_execute", self._check_size)
        return engine

    def _check_size(self, conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        """Refuse what the server would answer by closing the connection, which looks like a server that is away."""
        if not self._largest_packet:
            return
        values = parameters.values() if isinstance(parameters, dict) else parameters
        size = packet_size(values, self._largest_packet)
        if size >= self._largest_packet:
            raise ValueRefused(
                f"A row of {size} bytes does not fit: the database takes {self._largest_packet} at once.",
                cure="Set max_allowed_packet = 16M in the configuration of MariaDB, or more.",
            )

    async def _look_at_server(self) -> None:
        try:
            # Once, and not for long: no connection can be stale yet.
            look = self._repeated(_version, durable=False, write=False, longest_s=CONNECT_S, runs=1)
            version = await self._to_the_end(look)
        except StorageUnavailable as error:
            await refuse_other(self.url, error, self.where)
            raise
        except StorageError as error:
            if server_errors.code_of(error.__cause__ or error) not in server_errors.NO_SUCH_DATABASE:
                raise
            await self._create_database()
            version = await self.read(_version)
        oldest = OLDEST_POSTGRESQL if self.dialect == "postgresql" else OLDEST_MARIADB
        if version[:2] < oldest:
            found, needed = (".".join(map(str, each[:2])) for each in (version, oldest))
            raise StorageError(
                f"The database at {self.where} is {self.dialect} {found}; {needed} or newer is needed.",
                cure="Upgrade it.",
            )
        if self.dialect == "postgresql":
            encoding = await self.read(lambda conn: str(conn.execute(text("SHOW server_encoding")).scalar()))
            if encoding != "UTF8":
                raise StorageError(
                    f"The database at {self.where} is in {encoding}, which cannot hold what people write.",
                    cure="Create another one: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
                )
        if self.dialect == "mariadb":
            self._largest_packet = await self.read(
                lambda conn: int(conn.execute(text("SELECT @@max_allowed_packet")).scalar())
            )

    async def _create_database(self) -> None:
        """Create the database, connected to the one that every server has."""
        from sqlalchemy.ext.asyncio import create_async_engine

        server = for_driver(self.url).set(database="postgres" if self.dialect == "postgresql" else "")
        engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
        mark = '"' if self.dialect == "postgresql" else "`"
        name = mark + (self.url.database or "").replace(mark, mark * 2) + mark
        options = "ENCODING 'UTF8' TEMPLATE template0" if self.dialect == "postgresql" else "CHARACTER SET utf8mb4"
        try:
            async with asyncio.timeout(LONGEST_S), engine.connect() as conn:
                await conn.execute(text(f"CREATE DATABASE {name} {options}".replace(":", r"\:")))
        except (DBAPIError, OSError) as error:
            if server_errors.code_of(error) in (1007, "42P04", "23505"):
                return  # another process was faster
            raise StorageError(
                f"There is no database at {self.where}, and it cannot be created: {server_errors.reason(error)}.",
                cure="Create it, or give the user the right to, and start again.",
            ) from error
        finally:
            await engine.dispose()


def _escape(escape: Callable[[Any], str], value: Any) -> str:
    """Escape a value of a statement; aiomysql 0.3 calls for bytes what PyMySQL 2 does not have any more."""
    return f"_binary X'{value.hex()}'" if isinstance(value, bytes) else escape(value)


def _version(conn: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in conn.dialect.server_version_info if isinstance(part, int))
