"""SQLite: one writer thread with group commit, and a reader thread beside it (WAL, synchronous=FULL)."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from core.contracts.errors import StorageError, StorageUnavailable

T = TypeVar("T")

MAX_GROUP = 64
MAX_WAITING = 10_000
BUSY_TIMEOUT_S = 5.0


@dataclass(slots=True)
class _Job:
    fn: Callable[[Any], Any]
    durable: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]

    def resolve(self, result: Any) -> None:
        self._settle(lambda: self.future.set_result(result))

    def reject(self, error: BaseException) -> None:
        self._settle(lambda: self.future.set_exception(error))

    def _settle(self, settle: Callable[[], None]) -> None:
        def unless_done() -> None:
            if not self.future.done():
                settle()

        try:
            self.loop.call_soon_threadsafe(unless_done)
        except RuntimeError:
            # The loop is gone (the process is going down): nobody waits for the answer any more.
            return


class SqliteDatabase:
    """The `Database` of one SQLite file.

    Transactions that wait together are committed together: each runs in a savepoint of its own, so that one which
    raises takes nothing of the others with it. `path` None keeps everything in memory, for tests.
    """

    dialect = "sqlite"

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING)
        self._reads: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING)
        self._threads: list[threading.Thread] = []
        self._closed = False

    async def start(self) -> None:
        """Open the file; raises StorageError that says what to do when it cannot be opened or is damaged."""
        loop = asyncio.get_running_loop()
        lanes = [("writer", self._jobs, self._write_group)]
        if self.path is not None:
            lanes.append(("reader", self._reads, self._read_group))
        else:
            self._reads = self._jobs
        for name, jobs, work in lanes:
            opened: asyncio.Future[None] = loop.create_future()
            job = _Job(lambda _: None, False, loop, opened)
            thread = threading.Thread(
                target=self._serve, args=(name, jobs, work, job), name=f"sqlite-{name}", daemon=True
            )
            thread.start()
            self._threads.append(thread)
            try:
                await opened
            except BaseException:
                await self.stop()
                raise

    async def stop(self) -> None:
        """Finish what waits, and close."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        if self._reads is not self._jobs:
            self._reads.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join, 10.0)

    async def transact(self, fn: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run `fn(conn)` in the writer thread; see `core.contracts.services.Database`."""
        return await self._submit(self._jobs, fn, durable)

    async def read(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(conn)` in the reader thread, on a snapshot."""
        return await self._submit(self._reads, fn, False)

    async def _submit(self, jobs: queue.Queue[_Job | None], fn: Callable[[Any], T], durable: bool) -> T:
        if self._closed or not self._threads:
            raise StorageUnavailable("The database is closed.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        try:
            jobs.put_nowait(_Job(fn, durable, loop, future))
        except queue.Full:
            raise StorageUnavailable("The database has fallen too far behind; nothing more is taken.") from None
        return await future

    def _engine(self) -> Engine:
        def connect() -> sqlite3.Connection:
            if self.path is None:
                return sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            mode = "ro" if self._read_only else "rwc"
            return sqlite3.connect(
                f"file:{self.path}?mode={mode}",
                uri=True,
                check_same_thread=False,
                isolation_level=None,
                timeout=BUSY_TIMEOUT_S,
                cached_statements=512,
            )

        engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool)

        @event.listens_for(engine, "connect")
        def prepare(dbapi: sqlite3.Connection, record: object) -> None:
            if not self._read_only:
                dbapi.execute("PRAGMA journal_mode=WAL")
                dbapi.execute("PRAGMA synchronous=FULL")
            dbapi.execute("PRAGMA cache_size=-4096")
            dbapi.execute("PRAGMA foreign_keys=ON")

        return engine

    def _serve(
        self,
        name: str,
        jobs: queue.Queue[_Job | None],
        work: Callable[[Connection, list[_Job]], None],
        opening: _Job,
    ) -> None:
        engine = self._engine()
        try:
            # AUTOCOMMIT keeps SQLAlchemy from beginning and committing by itself: the groups below do that.
            conn = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            conn.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        except DBAPIError as error:
            opening.reject(self._cannot_open(error))
            return
        opening.resolve(None)
        while (first := jobs.get()) is not None:
            group = [first]
            last = False
            while len(group) < MAX_GROUP and not jobs.empty():
                following = jobs.get_nowait()
                if following is None:
                    last = True
                    break
                group.append(following)
            work(conn, group)
            if last:
                break
        conn.close()
        engine.dispose()

    def _write_group(self, conn: Connection, group: list[_Job]) -> None:
        driver = _driver(conn)
        results: list[tuple[_Job, Any]] = []
        try:
            if not self._read_only:
                driver.execute(f"PRAGMA synchronous={'FULL' if any(job.durable for job in group) else 'NORMAL'}")
            driver.execute("BEGIN IMMEDIATE")
            for job in group:
                driver.execute("SAVEPOINT job")
                try:
                    result = job.fn(conn)
                except BaseException as error:  # noqa: BLE001 - whatever fn raises belongs to the one who awaits it
                    if driver.in_transaction:
                        driver.execute("ROLLBACK TO job")
                    job.reject(_translated(error))
                else:
                    results.append((job, result))
                if not driver.in_transaction:
                    raise StorageError("A transaction function committed or rolled back by itself; it must not.")
                driver.execute("RELEASE job")
            driver.execute("COMMIT")
        except (sqlite3.Error, StorageError) as error:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            for job in group:
                job.reject(_translated(error))
        else:
            for job, result in results:
                job.resolve(result)

    def _read_group(self, conn: Connection, group: list[_Job]) -> None:
        driver = _driver(conn)
        for job in group:
            try:
                driver.execute("BEGIN")
                result = job.fn(conn)
            except BaseException as error:  # noqa: BLE001 - whatever fn raises belongs to the one who awaits it
                job.reject(_translated(error))
            else:
                job.resolve(result)
            finally:
                if driver.in_transaction:
                    driver.execute("ROLLBACK")

    def _cannot_open(self, error: DBAPIError) -> StorageError:
        return StorageError(
            f"The database {self.path} cannot be opened: {error.orig}.",
            cure="Check that the directory exists, is writable and that the file is a SQLite database; "
            "a damaged file can be replaced by a backup.",
        )

    async def backup(self, target: Path) -> None:
        """Copy the database to `target` while it is in use (SQLite's online backup)."""

        def copy(conn: Connection) -> None:
            driver = _driver(conn)
            driver.execute("ROLLBACK")  # a backup inside the snapshot that `read` began would wait for itself
            destination = sqlite3.connect(target)
            try:
                driver.backup(destination)
            finally:
                destination.close()

        await self.read(copy)


def _driver(conn: Connection) -> sqlite3.Connection:
    driver = conn.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _translated(error: BaseException) -> BaseException:
    """Turn the driver's errors into ours; leave everything else as it is."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.OperationalError):
        return StorageUnavailable(f"The database refuses: {original}.", cure="See `rekku doctor`.")
    if isinstance(original, sqlite3.Error) and not isinstance(original, sqlite3.IntegrityError):
        return StorageError(f"The database refuses: {original}.", cure="See `rekku doctor`.")
    return error
