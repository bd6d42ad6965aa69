"""`SqliteDatabase` as an implementation of `Database`: groups, durability, snapshots, refusals, and its end."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from core.contracts.errors import LeaseLost, StorageError, StorageUnavailable
from core.contracts.inputs import Address, Input, InputKind, Principal
from core.services import inbox
from core.storage import schema, sqlite
from core.storage.sqlite import SqliteDatabase


def add(value: int) -> Callable[[Any], int]:
    """Return a transaction function that stores a number and returns it."""

    def fn(conn: Any) -> int:
        conn.execute(text("INSERT INTO numbers (n) VALUES (:n)"), {"n": value})
        return value

    return fn


def numbers(conn: Any) -> list[int]:
    return list(conn.execute(text("SELECT n FROM numbers ORDER BY n")).scalars())


def create(conn: Any) -> None:
    conn.execute(text("CREATE TABLE numbers (n INTEGER NOT NULL UNIQUE)"))


class Gate:
    """Holds the writer in a transaction until it is opened, so that what is submitted meanwhile waits together."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.reached = threading.Event()

    def __call__(self, conn: Any) -> None:
        self.reached.set()
        assert self._open.wait(10.0)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "test.db")
    await database.start()
    await database.transact(create)
    yield database
    await database.stop()


async def together(db: SqliteDatabase, *fns: Callable[[Any], Any], durable: bool = True) -> list[Any]:
    """Run functions in one group; return their results and errors."""
    gate = Gate()
    held = asyncio.ensure_future(db.transact(gate))
    await asyncio.to_thread(gate.reached.wait, 10.0)
    waiting = [asyncio.ensure_future(db.transact(fn, durable=durable)) for fn in fns]
    await asyncio.sleep(0)
    gate.open()
    await held
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_results_come_back(db: SqliteDatabase) -> None:
    assert await db.transact(add(1)) == 1
    assert await db.read(numbers) == [1]
    assert await db.transact(lambda conn: (numbers(conn), None)) == ([1], None)


async def test_a_group_is_one_commit(db: SqliteDatabase) -> None:
    committed: list[str] = []

    def watch(conn: Any) -> None:
        conn.connection.driver_connection.set_trace_callback(committed.append)

    await db.transact(watch)
    assert await together(db, *(add(n) for n in range(10))) == list(range(10))
    await db.transact(lambda conn: conn.connection.driver_connection.set_trace_callback(None))
    assert [statement for statement in committed if statement == "COMMIT"] == ["COMMIT"] * 3  # watch, gate, the ten


async def test_one_that_raises_takes_nothing_of_the_others_with_it(db: SqliteDatabase) -> None:
    def broken(conn: Any) -> None:
        add(100)(conn)
        raise KeyError("mine")

    results = await together(db, add(1), broken, add(2), add(1), add(3))

    assert results[0] == 1
    assert isinstance(results[1], KeyError)
    assert results[2] == 2
    assert "UNIQUE" in str(results[3])
    assert results[4] == 3
    assert await db.read(numbers) == [1, 2, 3]


async def test_one_alone_that_raises_leaves_nothing(db: SqliteDatabase) -> None:
    def broken(conn: Any) -> None:
        add(100)(conn)
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await db.transact(broken)
    assert await db.read(numbers) == []


@pytest.mark.parametrize("error", [StopIteration(), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_whatever_is_raised_comes_back_and_the_thread_lives_on(
    db: SqliteDatabase, error: BaseException
) -> None:
    def broken(conn: Any) -> None:
        raise error

    for run in (db.transact, db.read):
        waiting = asyncio.ensure_future(asyncio.gather(run(broken), return_exceptions=True))
        done, _ = await asyncio.wait({waiting}, timeout=5.0)
        assert done, "nobody answered"
        [raised] = waiting.result()
        assert isinstance(raised, RuntimeError)
    assert await db.transact(add(1)) == 1


@pytest.mark.parametrize("how", ["commit", "rollback", "close"])
async def test_ending_the_transaction_oneself_is_refused(db: SqliteDatabase, how: str) -> None:
    def impatient(conn: Any) -> None:
        add(100)(conn)
        getattr(conn, how)()

    results = await together(db, add(1), impatient, add(2))

    assert results[::2] == [1, 2]
    assert isinstance(results[1], StorageError)
    assert "must not commit" in str(results[1])
    assert await db.read(numbers) == [1, 2]


async def test_ending_it_in_raw_sql_is_noticed(db: SqliteDatabase) -> None:
    results = await together(db, lambda conn: conn.exec_driver_sql("COMMIT"), add(1))

    assert isinstance(results[0], StorageError)
    assert not isinstance(results[0], StorageUnavailable)
    assert isinstance(results[1], StorageUnavailable)
    assert await db.transact(add(2)) == 2
    assert await db.read(numbers) == [2]


async def test_a_savepoint_of_ones_own_is_allowed(db: SqliteDatabase) -> None:
    def careful(conn: Any) -> None:
        add(1)(conn)
        savepoint = conn.begin_nested()
        add(2)(conn)
        savepoint.rollback()
        with conn.begin_nested():
            add(3)(conn)

    await db.transact(careful)
    assert await db.read(numbers) == [1, 3]


async def test_durable_is_full_and_otherwise_normal(db: SqliteDatabase) -> None:
    def mode(conn: Any) -> int:
        return int(conn.exec_driver_sql("PRAGMA synchronous").scalar())

    full, normal = 2, 1
    assert await db.transact(mode) == full
    assert await db.transact(mode, durable=False) == normal
    assert await db.transact(mode) == full


async def test_a_group_with_one_durable_job_is_durable(db: SqliteDatabase) -> None:
    def mode(conn: Any) -> int:
        return int(conn.exec_driver_sql("PRAGMA synchronous").scalar())

    gate = Gate()
    held = asyncio.ensure_future(db.transact(gate, durable=False))
    await asyncio.to_thread(gate.reached.wait, 10.0)
    waiting = [asyncio.ensure_future(db.transact(mode, durable=durable)) for durable in (False, True, False)]
    await asyncio.sleep(0)
    gate.open()
    await held
    assert await asyncio.gather(*waiting) == [2, 2, 2]


async def test_a_cancelled_caller_leaves_a_whole_transaction(db: SqliteDatabase) -> None:
    """It was handed over: it runs to its end, whoever waits for it."""

    def both(conn: Any) -> None:
        add(1)(conn)
        add(2)(conn)

    gate = Gate()
    held = asyncio.ensure_future(db.transact(gate))
    await asyncio.to_thread(gate.reached.wait, 10.0)
    waiting = asyncio.ensure_future(db.transact(both))
    await asyncio.sleep(0)
    waiting.cancel()
    gate.open()
    await held
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await db.transact(numbers) == [1, 2]


async def test_a_read_is_one_snapshot(db: SqliteDatabase) -> None:
    await db.transact(add(1))
    looking, written = threading.Event(), threading.Event()

    def look_twice(conn: Any) -> tuple[list[int], list[int]]:
        before = numbers(conn)
        looking.set()
        assert written.wait(10.0)
        return before, numbers(conn)

    reading = asyncio.ensure_future(db.read(look_twice))
    await asyncio.to_thread(looking.wait, 10.0)
    await db.transact(add(2))  # a reader holds up no writer
    written.set()
    assert await reading == ([1], [1])
    assert await db.read(numbers) == [1, 2]


async def test_a_read_cannot_write(db: SqliteDatabase) -> None:
    with pytest.raises(StorageError, match="readonly"):
        await db.read(add(1))
    assert await db.read(numbers) == []


async def test_a_backup_while_it_is_written_to(db: SqliteDatabase, tmp_path: Path) -> None:
    for n in range(0, 400, 2):
        await db.transact(lambda conn, n=n: (add(n)(conn), add(n + 1)(conn)), durable=False)  # type: ignore[misc]
    stop = asyncio.Event()

    async def write() -> int:
        n = 1000
        while not stop.is_set():
            await db.transact(lambda conn, n=n: (add(n)(conn), add(n + 1)(conn)), durable=False)  # type: ignore[misc]
            n += 2
        return n

    writing = asyncio.create_task(write())
    for copy in range(5):
        target = tmp_path / f"copy{copy}.db"
        await db.backup(target)
        with closing(sqlite3.connect(target)) as connection:
            rows = [row[0] for row in connection.execute("SELECT n FROM numbers ORDER BY n")]
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert rows[:400] == list(range(400))
        assert len(rows) % 2 == 0, "half of a transaction was copied"
    stop.set()
    assert await writing > 1000


async def test_read_only(db: SqliteDatabase, tmp_path: Path) -> None:
    await db.transact(add(1))
    looker = SqliteDatabase(tmp_path / "test.db", read_only=True)
    await looker.start()
    try:
        assert await looker.read(numbers) == [1]
        with pytest.raises(StorageError, match="readonly") as refused:
            await looker.transact(add(2))
        assert not isinstance(refused.value, StorageUnavailable), "it will not be over in a while"
    finally:
        await looker.stop()
    assert await db.read(numbers) == [1]


async def test_read_only_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        await SqliteDatabase(tmp_path / "missing.db", read_only=True).start()
    assert os.listdir(tmp_path) == []


async def test_stop_finishes_what_waits(db: SqliteDatabase) -> None:
    gate = Gate()
    held = asyncio.ensure_future(db.transact(gate))
    await asyncio.to_thread(gate.reached.wait, 10.0)
    waiting = [asyncio.ensure_future(db.transact(add(n))) for n in range(100)]
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(db.stop())
    await asyncio.sleep(0)
    gate.open()
    await stopping
    await held
    assert await asyncio.gather(*waiting) == list(range(100))


async def test_closed(db: SqliteDatabase) -> None:
    await db.stop()
    await db.stop()
    for run in (db.transact, db.read):
        with pytest.raises(StorageUnavailable, match="closed"):
            await run(numbers)


async def test_not_started(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        await SqliteDatabase(tmp_path / "test.db").transact(numbers)


async def test_too_much_waits(db: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MAX_WAITING", 3)
    gate = Gate()
    held = asyncio.ensure_future(db.transact(gate))
    await asyncio.to_thread(gate.reached.wait, 10.0)
    waiting = [asyncio.ensure_future(db.transact(add(n))) for n in range(5)]
    await asyncio.sleep(0)
    gate.open()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    await held
    assert results[:3] == [0, 1, 2]
    assert all(isinstance(result, StorageUnavailable) for result in results[3:])


@pytest.mark.parametrize("name", ["plain.db", "a b#c?d%20e.db", "ünï.db"])
async def test_any_name_of_a_file(name: str, tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / name)
    await database.start()
    await database.transact(create)
    await database.stop()
    assert (tmp_path / name).exists()


async def test_in_memory() -> None:
    database = SqliteDatabase(None)
    await database.start()
    await database.transact(create)
    assert await database.transact(add(1)) == 1
    assert await database.read(numbers) == [1]
    await database.stop()


async def test_another_process_holds_the_file_for_a_while(db: SqliteDatabase, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(db.transact(add(1)))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        other.execute("COMMIT")
    assert await waiting == 1


async def test_another_process_holds_the_file_for_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    database = SqliteDatabase(tmp_path / "test.db")
    await database.start()
    await database.transact(create)
    with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StorageUnavailable, match="locked"):
            await database.transact(add(1))
        assert time.monotonic() - began < 3.0
    assert await database.transact(add(1)) == 1
    await database.stop()


async def test_a_mistake_in_sql_is_not_a_database_that_is_away(db: SqliteDatabase) -> None:
    with pytest.raises(StorageError, match="no such table") as refused:
        await db.transact(lambda conn: conn.execute(text("SELECT * FROM missing")))
    assert not isinstance(refused.value, StorageUnavailable)


class TestLeases:
    """Two owners on one database: what a broker or a second process would do to each other."""

    LANE = "fake:a"

    @pytest.fixture
    async def two(self, tmp_path: Path) -> AsyncIterator[tuple[SqliteDatabase, SqliteDatabase]]:
        databases = SqliteDatabase(tmp_path / "shared.db"), SqliteDatabase(tmp_path / "shared.db")
        for database in databases:
            await database.start()
        await schema.upgrade(databases[0])
        for key in ("1", "2"):
            await databases[0].transact(lambda conn, key=key: self.put(conn, key))  # type: ignore[misc]
        yield databases
        for database in databases:
            await database.stop()

    def put(self, conn: Any, key: str) -> None:
        address = Address.parse(self.LANE)
        said = Input(kind=InputKind.MESSAGE, principal=Principal("fake", "1"), address=address, dedupe_key=key)
        inbox.put(conn, said, 0, passes_lanes=False)

    async def claim(self, database: SqliteDatabase, owner: str, now_ms: int) -> inbox.Claimed | None:
        return await database.transact(lambda conn: inbox.claim_head(conn, self.LANE, owner, now_ms))

    async def test_only_one_claims(self, two: tuple[SqliteDatabase, SqliteDatabase]) -> None:
        claims = await asyncio.gather(*(self.claim(two[n % 2], f"owner{n}", 0) for n in range(10)))
        assert [claim.input.dedupe_key for claim in claims if claim is not None] == ["1"]

    async def test_the_late_one_is_refused(self, two: tuple[SqliteDatabase, SqliteDatabase]) -> None:
        early = await self.claim(two[0], "early", 0)
        late_ms = inbox.LEASE_MS + 1
        taken_over = await self.claim(two[1], "late", late_ms)
        assert early is not None
        assert taken_over is not None
        assert taken_over.lease.input_id == early.lease.input_id
        assert taken_over.lease.epoch == early.lease.epoch + 1
        assert taken_over.resumed == 1

        for write in (
            lambda conn: inbox.check(conn, early.lease, late_ms),
            lambda conn: inbox.opened(conn, early.lease, 7),
            lambda conn: inbox.finish(conn, early.lease),
        ):
            with pytest.raises(LeaseLost):
                await two[0].transact(write)
        await two[0].transact(lambda conn: inbox.release(conn, early.lease))
        await two[1].transact(lambda conn: inbox.finish(conn, taken_over.lease))
        following = await self.claim(two[0], "early", late_ms)
        assert following is not None
        assert following.input.dedupe_key == "2"

    async def test_what_the_late_one_wrote_is_undone_with_it(
        self, two: tuple[SqliteDatabase, SqliteDatabase]
    ) -> None:
        early = await self.claim(two[0], "early", 0)
        assert early is not None
        assert await self.claim(two[1], "late", inbox.LEASE_MS + 1) is not None

        def write(conn: Any) -> None:
            self.put(conn, "3")
            inbox.finish(conn, early.lease)

        with pytest.raises(LeaseLost):
            await two[0].transact(write)
        assert await two[1].read(inbox.count_open) == 2

    async def test_a_lease_that_is_kept_is_not_taken_over(self, two: tuple[SqliteDatabase, SqliteDatabase]) -> None:
        held = await self.claim(two[0], "early", 0)
        assert held is not None
        await two[0].transact(lambda conn: inbox.check(conn, held.lease, inbox.LEASE_MS))
        assert await self.claim(two[1], "late", inbox.LEASE_MS + 1) is None
        assert await self.claim(two[1], "late", 2 * inbox.LEASE_MS + 1) is not None

    async def test_what_is_given_back_counts_as_new(self, two: tuple[SqliteDatabase, SqliteDatabase]) -> None:
        held = await self.claim(two[0], "early", 0)
        assert held is not None
        await two[0].transact(lambda conn: inbox.release(conn, held.lease))
        again = await self.claim(two[1], "late", 0)
        assert again is not None
        assert again.resumed == 0
