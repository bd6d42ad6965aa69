"""SQLite: one writer thread with group commit, and a reader thread beside it (WAL, synchronous=FULL)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Dialect, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import LRUCache

from core.contracts.errors import StorageError, StorageUnavailable
from core.storage.sqlite_jobs import Job, Lost, Writing, settle
from core.storage.transaction import (
    CLOSED,
    ENDED_BY_ITSELF,
    ENDING,
    FALLEN_BEHIND,
    MAX_WAITING,
    as_error,
    refuse_ending,
)

T = TypeVar("T")

MAX_GROUP = 64
LEAST_FREE = 1 << 20
"""Bytes on the disk, below which it is full."""

BUSY_TIMEOUT_S = 5.0
LONGEST_S = 20.0
"""One run of a transaction function: it holds the only transaction that writes, and all others wait."""

PASSING = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    )
)
"""Result codes of what may be over in a while (https://sqlite.org/rescode.html); the others stay as they are."""


_compiled: LRUCache[Any, Any] = LRUCache(500)
_dialects: list[Dialect] = []
"""The dialect of the first connection, which the others take as well: what one has compiled, all of them have."""


class SqliteDatabase:
    """The `Database` of one SQLite file.

    Transactions that wait together are committed together: each runs in a savepoint of its own, so that one which
    raises takes nothing of the others with it. `path` None keeps everything in memory, for tests.
    """

    dialect = "sqlite"

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        # A file system that has become read-only for whoever writes can be made writable again.
        self._passing = PASSING if read_only else PASSING | {sqlite3.SQLITE_READONLY}
        # SimpleQueue is written in C and hands over in half the time; `_submit` keeps the bound.
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._synchronous = ""
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._writing: Writing | None = None
        self.on_abandoned: Callable[[int, Callable[[Any], Any]], None] = lambda thread, fn: None
        """Told of a transaction function that was given up: the thread that it still runs in, and the function."""

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return str(self.path or "memory")

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
            job = Job(lambda _: None, False, loop, opened)
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

    async def exclusively(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(conn)` in the writer thread: a home belongs to one process, and each transaction is alone there."""
        return await self.transact(fn)

    async def read(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(conn)` in the reader thread, on a snapshot."""
        return await self._submit(self._reads, fn, False)

    async def _submit(self, jobs: queue.SimpleQueue[Job | None], fn: Callable[[Any], T], durable: bool) -> T:
        if self._closed or not self._threads:
            raise StorageUnavailable(CLOSED)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if jobs.qsize() >= MAX_WAITING:
            raise StorageUnavailable(FALLEN_BEHIND)
        job = Job(fn, durable, loop, future)
        jobs.put(job)
        if jobs is not self._jobs or self.path is None:
            return await future
        looking = loop.call_later(LONGEST_S, self._look, job)
        try:
            return await future
        finally:
            looking.cancel()

    def _look(self, job: Job) -> None:
        """Give up what has held the one transaction for too long, while `job` waits for its end or its turn."""
        if job.future.done() or self._closed:
            return
        writing = self._writing
        if writing is not None and writing.job is not None and time.monotonic() - writing.since_s >= LONGEST_S:
            self._abandon(writing, writing.job)
        if not job.future.done():
            job.loop.call_later(1.0, self._look, job)

    def _abandon(self, writing: Writing, held: Job) -> None:
        """Undo a transaction whose function does not end, and let another thread go on with what waits."""
        writing.lost = True
        self._writing = None
        held.error = StorageUnavailable(f"A transaction function took longer than {LONGEST_S:g} s; it was undone.")
        self.on_abandoned(writing.thread, held.fn)
        left = [job for job in writing.group if job is not held and not job.future.done()]
        for job in left:
            job.result = job.error = None
        opening = Job(lambda _: None, False, held.loop, held.loop.create_future())
        opening.future.add_done_callback(lambda done: done.exception())
        self._threads = [thread for thread in self._threads if thread.ident != writing.thread]

        def go_on() -> None:
            # The function may be anywhere but in a statement for long: from here on each of its statements fails.
            writing.driver.interrupt()
            with contextlib.suppress(sqlite3.Error):
                writing.driver.execute("ROLLBACK")
            with contextlib.suppress(sqlite3.Error):
                writing.driver.set_authorizer(lambda *about: sqlite3.SQLITE_DENY)
                writing.driver.close()
            settle([held])
            self._serve("writer", self._jobs, self._write_group, opening, left)

        thread = threading.Thread(target=go_on, name="sqlite-writer", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _engine(self) -> Engine:
        def connect() -> sqlite3.Connection:
            if self.path is None:
                return sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            mode = "ro" if self._read_only else "rwc"
            if not self._read_only:
                # For its owner alone, wherever the home is; SQLite gives its other files the same mode. Only ever
                # made, never opened: closing a descriptor of it would take this process's locks on it away (POSIX),
                # and another process would then remove the journal under our feet.
                with contextlib.suppress(OSError):
                    os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            return sqlite3.connect(
                f"file:{quote(str(self.path))}?mode={mode}",
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

    def held(self, *, write: bool) -> Connection:
        """Return a connection of its own for one who keeps it for long, in no transaction yet."""
        return self._connect("writer" if write else "reader")

    def _connect(self, name: str) -> Connection:
        engine = self._engine()
        if _dialects:
            engine.dialect = _dialects[0]
        # AUTOCOMMIT keeps SQLAlchemy from beginning and committing by itself: the groups below do that.
        conn = engine.connect().execution_options(isolation_level="AUTOCOMMIT", compiled_cache=_compiled)
        conn.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        if not _dialects:
            _dialects.append(engine.dialect)
        if name == "reader":
            conn.exec_driver_sql("PRAGMA query_only=ON")  # what is written in a snapshot would be lost silently
        for method in ENDING:
            setattr(conn, method, refuse_ending)
        return conn

    def _serve(
        self,
        name: str,
        jobs: queue.SimpleQueue[Job | None],
        work: Callable[[Connection, list[Job]], None],
        opening: Job,
        first_group: list[Job] | None = None,
    ) -> None:
        try:
            conn = self._connect(name)
        except DBAPIError as error:
            opening.error = self._cannot_open(error)
            return
        finally:
            settle([opening])
        if first_group:
            work(conn, first_group)
        while (first := jobs.get()) is not None:
            group = [first]
            last = False
            while len(group) < MAX_GROUP and not jobs.empty():
                following = jobs.get_nowait()
                if following is None:
                    last = True
                    break
                group.append(following)
            try:
                work(conn, group)
            except Lost:
                return
            except Exception as error:  # noqa: BLE001 - a thread that died would leave all who come later waiting
                for job in group:
                    job.error = job.error or _translated(error)
                settle(group)
            if last:
                break
        Connection.close(conn)
        conn.engine.dispose()

    def _write_group(self, conn: Connection, group: list[Job]) -> None:
        driver = _driver(conn)
        writing = self._writing = Writing(threading.get_ident(), driver, group)
        try:
            self._set_synchronous(driver, "FULL" if any(job.durable for job in group) else "NORMAL")
            driver.execute("BEGIN IMMEDIATE")
            for job in group:
                writing.since_s, writing.job = time.monotonic(), job
                self._run_in_group(conn, driver, job, writing)
                writing.job = None
            if driver.in_transaction:
                driver.execute("COMMIT")
        except (sqlite3.Error, StorageError) as error:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            for job in group:
                job.error = job.error or _translated(error, self._passing)
        settle(group)

    def _run_in_group(self, conn: Connection, driver: sqlite3.Connection, job: Job, writing: Writing) -> None:
        """Run a job in a savepoint; one that is alone needs none, it is the transaction."""
        alone = len(writing.group) == 1
        if not alone:
            driver.execute("SAVEPOINT job")
        result, failed = None, None
        try:
            result = job.fn(conn)
        except BaseException as error:  # noqa: BLE001 - whatever fn raises belongs to the one who awaits it
            failed = error
        if writing.lost:
            raise Lost
        job.result = result
        if failed is not None:
            job.error = _translated(failed, self._passing)
            if driver.in_transaction:
                driver.execute("ROLLBACK" if alone else "ROLLBACK TO job")
        else:
            if not driver.in_transaction:
                job.error = StorageError(ENDED_BY_ITSELF)
                raise StorageUnavailable("The transaction was undone together with one that ended it by itself.")
        if not alone:
            driver.execute("RELEASE job")

    def _set_synchronous(self, driver: sqlite3.Connection, mode: str) -> None:
        if mode != self._synchronous and not self._read_only:
            driver.execute(f"PRAGMA synchronous={mode}")
            self._synchronous = mode

    def _read_group(self, conn: Connection, group: list[Job]) -> None:
        driver = _driver(conn)
        for job in group:
            try:
                driver.execute("BEGIN")
                job.result = job.fn(conn)
            except BaseException as error:  # noqa: BLE001 - whatever fn raises belongs to the one who awaits it
                job.error = _translated(error)
            settle([job])
            if driver.in_transaction:
                driver.execute("ROLLBACK")

    def _cannot_open(self, error: DBAPIError) -> StorageError:
        cure = ""
        if self.path is not None and self.path.parent.is_dir():
            if shutil.disk_usage(self.path.parent).free < LEAST_FREE:
                cure = "The disk is full: make room on it."
            elif not os.access(self.path.parent, os.W_OK):
                cure = "The directory cannot be written to, which SQLite needs also for reading."
        return StorageError(
            f"The database {self.path} cannot be opened: {error.orig}.",
            cure=cure
            or "Check that the directory exists, is writable and that the file is a SQLite database; "
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


def _translated(error: BaseException, passing: frozenset[int] = PASSING) -> Exception:
    """Turn the driver's errors into ours; leave everything else as it is."""
    error = as_error(error)
    original = error.orig if isinstance(error, DBAPIError) else error
    # An extended code holds the primary one in its lowest byte.
    if isinstance(original, sqlite3.Error) and getattr(original, "sqlite_errorcode", 0) & 0xFF in passing:
        return StorageUnavailable(f"The database refuses: {original}.", cure="See `rekku doctor`.")
    if isinstance(original, sqlite3.Error) and not isinstance(original, sqlite3.IntegrityError):
        return StorageError(f"The database refuses: {original}.", cure="See `rekku doctor`.")
    return error
