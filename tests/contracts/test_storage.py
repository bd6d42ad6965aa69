"""The promises of `Database`, the same on SQLite, MariaDB and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, Table, insert, select, update

from core.contracts.errors import LeaseLost, StorageError
from core.contracts.inputs import Address, Input, InputKind, Principal
from core.contracts.json import storable
from core.services import inbox, outbox
from core.storage import schema
from core.storage.opening import StoredDatabase
from core.storage.server import ServerDatabase
from core.storage.sqlite import SqliteDatabase
from core.storage.tables import Key, LongText
from tests.support.database_servers import ServersOfTests

DIALECTS = [
    "sqlite",
    pytest.param("mariadb", marks=pytest.mark.service),
    pytest.param("postgresql", marks=pytest.mark.service),
]
SERVERS = DIALECTS[1:]

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Key, nullable=False, unique=True),
    Column("text", LongText),
    Column("big", BigInteger, nullable=False, default=0),
    Column("flag", Boolean, nullable=False, default=False),
    mariadb_charset="utf8mb4",
    mariadb_collate="utf8mb4_nopad_bin",
)

Open = Callable[[], StoredDatabase]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Return what opens the same new database again and again, as several processes would."""
    dialect = request.param
    if dialect == "sqlite":
        return lambda: SqliteDatabase(tmp_path / "rekku.db")
    servers: ServersOfTests = request.getfixturevalue("database_servers")
    url = servers.url(dialect)
    return lambda: ServerDatabase(url)


@pytest.fixture
async def db(place: Open) -> AsyncIterator[StoredDatabase]:
    database = place()
    await database.start()
    await database.exclusively(metadata.create_all)
    yield database
    await database.stop()


def everywhere(fn: Any) -> Any:
    return pytest.mark.parametrize("place", DIALECTS, indirect=True)(fn)


def on_servers(fn: Any) -> Any:
    return pytest.mark.parametrize("place", SERVERS, indirect=True)(fn)


def add(name: str, **values: Any) -> Callable[[Any], int]:
    def fn(conn: Any) -> int:
        return int(conn.execute(insert(things), {"name": name, **values}).inserted_primary_key[0])

    return fn


def names(conn: Any) -> list[str]:
    return sorted(conn.execute(select(things.c.name)).scalars())


@everywhere
async def test_results_come_back_and_what_was_written_is_there(db: StoredDatabase) -> None:
    first = await db.transact(add("a"))
    second = await db.transact(add("b"), durable=False)
    assert first != second
    assert await db.read(names) == ["a", "b"]
    assert await db.transact(lambda conn: (names(conn), None)) == (["a", "b"], None)


TEXTS = (
    "",
    " padded ",
    "👩‍👩‍👧‍👦 and 𝕌𝕟𝕚𝕔𝕠𝕕𝕖",
    "שלום עולם \u202e override \u200f",
    "'; DROP TABLE things; -- \\' \\\\ %s :name ? {} \b\x1b\x7f",
    "line\r\nbreaks\ttabs\u2028\u2029",
    "half \ud83d and NUL \0",
    "x" * (1 << 20),
    "🙂" * 100_000,
)


@everywhere
async def test_a_text_comes_back_as_it_was(db: StoredDatabase) -> None:
    for number, text in enumerate(TEXTS):
        await db.transact(add(f"text {number}", text=text))
    found = await db.read(lambda conn: list(conn.execute(select(things.c.text).order_by(things.c.id)).scalars()))
    for text, kept in zip(TEXTS, found, strict=True):
        assert kept == storable(text), text[:20]


@everywhere
async def test_numbers_truths_and_nothing_come_back_as_they_were(db: StoredDatabase) -> None:
    await db.transact(add("a", big=2**63 - 1, flag=True))
    await db.transact(add("b", big=-(2**63), flag=False))
    rows = await db.read(lambda conn: conn.execute(select(things).order_by(things.c.name)).all())
    assert [(row.big, row.flag, row.text) for row in rows] == [(2**63 - 1, True, None), (-(2**63), False, None)]


@everywhere
async def test_texts_are_equal_only_when_they_are_the_same(db: StoredDatabase) -> None:
    for name in ("a", "A", "á", "a ", "ａ", "ß", "ss", "i", "İ"):
        await db.transact(add(name))
    for name in ("a", "A", "a ", "ß"):
        same = select(things.c.name).where(things.c.name == name)
        assert await db.read(lambda conn, same=same: list(conn.execute(same).scalars())) == [name]  # type: ignore[misc]


@everywhere
async def test_what_raises_leaves_nothing(db: StoredDatabase) -> None:
    def broken(conn: Any) -> None:
        add("a")(conn)
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await db.transact(broken)
    assert await db.read(names) == []
    await db.transact(add("b"))
    assert await db.read(names) == ["b"]


@everywhere
async def test_whatever_is_raised_comes_back(db: StoredDatabase) -> None:
    for error in (StopIteration(), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()):

        def broken(conn: Any, error: BaseException = error) -> None:
            raise error

        for run in (db.transact, db.read):
            with pytest.raises(RuntimeError):
                async with asyncio.timeout(10):
                    await run(broken)
    assert await db.transact(add("a"))


@everywhere
async def test_ending_the_transaction_oneself_is_refused(db: StoredDatabase) -> None:
    for how in ("commit", "rollback", "close"):

        def impatient(conn: Any, how: str = how) -> None:
            add("a")(conn)
            getattr(conn, how)()

        with pytest.raises(StorageError, match="must not commit"):
            await db.transact(impatient)
        assert await db.read(names) == []
    await db.transact(add("b"))


@everywhere
async def test_a_row_that_is_there_already_is_an_integrity_error(db: StoredDatabase) -> None:
    await db.transact(add("a"))
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await db.transact(add("a"))
    assert await db.read(names) == ["a"]


@on_servers
async def test_what_is_refused_each_time_is_told_soon(db: StoredDatabase) -> None:
    """A row that another process has just written is a conflict once; a row that is simply there is none."""
    await db.transact(add("a"))
    runs = 0

    def counted(conn: Any, **values: Any) -> int:
        nonlocal runs
        runs += 1
        return add("a", **values)(conn)

    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await db.transact(counted)
    assert runs == 2
    with pytest.raises(Exception, match=r"(?i)null"):
        await db.transact(lambda conn: counted(conn, big=None))
    assert runs == 3


@everywhere
async def test_a_reading_transaction_cannot_write(db: StoredDatabase) -> None:
    with pytest.raises(Exception, match=r"(?i)read.?only"):
        await db.read(add("a"))
    assert await db.read(names) == []
    await db.transact(add("b"))


@everywhere
async def test_who_is_cancelled_leaves_the_transaction_whole(db: StoredDatabase) -> None:
    waiting = asyncio.ensure_future(db.transact(lambda conn: [add(name)(conn) for name in ("a", "b", "c")]))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    for _ in range(500):
        if len(await db.read(names)) == 3:
            break
        await asyncio.sleep(0.01)
    assert await db.read(names) == ["a", "b", "c"]


@everywhere
async def test_no_change_is_lost_between_processes(place: Open, db: StoredDatabase) -> None:
    """Count up in many transactions at once, each of which reads before it writes."""
    others = [db] if db.dialect == "sqlite" else [db, place(), place()]
    for other in others[1:]:
        await other.start()
    await db.transact(add("counter"))

    def count(conn: Any) -> None:
        row = select(things.c.big).where(things.c.name == "counter").with_for_update()
        conn.execute(update(things).values(big=conn.execute(row).scalar() + 1))

    await asyncio.gather(*(others[place % len(others)].transact(count) for place in range(60)))
    assert await db.read(lambda conn: conn.execute(select(things.c.big)).scalar()) == 60
    for other in others[1:]:
        await other.stop()


@everywhere
async def test_a_snapshot_does_not_move(place: Open, db: StoredDatabase) -> None:
    writer = place()
    await writer.start()
    reading, written = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def look(conn: Any) -> tuple[list[str], list[str]]:
        before = names(conn)
        if db.dialect == "sqlite":  # its functions run in a thread of their own
            loop.call_soon_threadsafe(reading.set)
            asyncio.run_coroutine_threadsafe(written.wait(), loop).result(10)
        else:
            from sqlalchemy.util import await_only

            reading.set()
            await_only(written.wait())
        return before, names(conn)

    looking = asyncio.ensure_future(db.read(look))
    await reading.wait()
    await writer.transact(add("a"))
    written.set()
    assert await looking == ([], [])
    assert await db.read(names) == ["a"]
    await writer.stop()


# The schema, and what the inbox makes of several processes


def said(key: str, chat: str = "1") -> Input:
    return Input(
        kind=InputKind.MESSAGE,
        principal=Principal("t", chat),
        address=Address("t", chat),
        dedupe_key=key,
        text=f"message {key}",
    )


def put(key: str, chat: str = "1") -> Callable[[Any], tuple[int, bool]]:
    return lambda conn: inbox.put(conn, said(key, chat), 5, passes_lanes=False)


@everywhere
async def test_starting_at_once_makes_one_schema(place: Open) -> None:
    processes = [place() for _ in range(1 if place().dialect == "sqlite" else 4)]

    async def start(database: StoredDatabase) -> str:
        await database.start()
        await schema.upgrade(database)
        return await database.read(schema.revision)

    assert set(await asyncio.gather(*map(start, processes))) == {schema.HEAD}
    for database in processes:
        await database.stop()


@everywhere
async def test_a_newer_schema_is_refused(place: Open, db: StoredDatabase) -> None:
    await schema.upgrade(db)
    await db.transact(
        lambda conn: conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'").rowcount, durable=False
    )
    with pytest.raises(StorageError, match=f"schema 9999, this version of Rekku knows up to {schema.HEAD}"):
        await schema.upgrade(db)


@everywhere
async def test_an_input_that_comes_to_two_processes_at_once_is_there_once(place: Open, db: StoredDatabase) -> None:
    await schema.upgrade(db)
    other = place() if db.dialect != "sqlite" else db
    await other.start() if other is not db else None
    for number in range(20):
        answers = await asyncio.gather(*(who.transact(put(str(number))) for who in (db, other, db, other)))
        assert len({row for row, _ in answers}) == 1
        assert sorted(duplicate for _, duplicate in answers) == [False, True, True, True]
    if other is not db:
        await other.stop()


@everywhere
async def test_a_lane_belongs_to_one_at_a_time_and_in_order(place: Open, db: StoredDatabase) -> None:
    await schema.upgrade(db)
    workers = [db] if db.dialect == "sqlite" else [db, place(), place()]
    for worker in workers[1:]:
        await worker.start()
    for number in range(30):
        await db.transact(put(str(number), chat=str(number % 2)))
    working: set[str] = set()
    done: dict[str, list[str]] = {"t:0": [], "t:1": []}

    async def work(database: StoredDatabase, owner: str) -> None:
        for _ in range(400):
            for lane in done:
                claimed = await database.transact(lambda conn, at=lane: inbox.claim_head(conn, at, owner, 10))  # type: ignore[misc]
                if claimed is None:
                    continue
                assert lane not in working, "two at once in a lane"
                working.add(lane)
                await asyncio.sleep(0)
                done[lane].append(claimed.input.dedupe_key)
                working.discard(lane)
                await database.transact(lambda conn, held=claimed.lease: inbox.finish(conn, held))  # type: ignore[misc]
            if sum(map(len, done.values())) == 30:
                return

    owners = [(worker, f"w{place}{twice}") for place, worker in enumerate(workers) for twice in range(2)]
    await asyncio.gather(*(work(worker, owner) for worker, owner in owners))
    assert done == {"t:0": [str(n) for n in range(0, 30, 2)], "t:1": [str(n) for n in range(1, 30, 2)]}
    for worker in workers[1:]:
        await worker.stop()


@everywhere
async def test_who_comes_back_late_is_refused(db: StoredDatabase) -> None:
    await schema.upgrade(db)
    await db.transact(put("1"))
    late = await db.transact(lambda conn: inbox.claim_head(conn, "t:1", "late", 10))
    assert late is not None
    after = 10 + inbox.LEASE_MS + 1
    taken = await db.transact(lambda conn: inbox.claim_head(conn, "t:1", "other", after))
    assert taken is not None
    assert taken.resumed == 1
    for write in (
        lambda conn: inbox.check(conn, late.lease, after),
        lambda conn: inbox.finish(conn, late.lease),
        lambda conn: inbox.opened(conn, late.lease, 1),
    ):
        with pytest.raises(LeaseLost):
            await db.transact(write)
    await db.transact(lambda conn: inbox.finish(conn, taken.lease))
    assert await db.read(inbox.count_open) == 0


@everywhere
async def test_leases_of_those_before_are_void_and_of_others_are_not(db: StoredDatabase) -> None:
    await schema.upgrade(db)
    for chat, owner in (("1", "here.1"), ("2", "there.1"), ("3", "here_.1")):
        await db.transact(put(chat, chat))
        await db.transact(lambda conn, c=chat, o=owner: inbox.claim_head(conn, f"t:{c}", o, 10))  # type: ignore[misc]
    await db.transact(lambda conn: inbox.expire_leases(conn, "here."))
    await db.transact(lambda conn: outbox.expire_leases(conn, "here."))
    assert await db.read(lambda conn: inbox.open_lanes(conn, 11)) == ["t:1"]
    await db.transact(lambda conn: inbox.expire_leases(conn, ""))
    assert await db.read(lambda conn: inbox.open_lanes(conn, 11)) == ["t:1", "t:2", "t:3"]


@on_servers
async def test_a_lower_number_that_is_committed_later_waits_for_what_runs(place: Open, db: StoredDatabase) -> None:
    """Numbers are given when a row is written, and seen when it is committed: the order can be another one."""
    from sqlalchemy.util import await_only

    await schema.upgrade(db)
    slow = place()
    await slow.start()
    written, go_on = asyncio.Event(), asyncio.Event()

    def put_slowly(conn: Any) -> None:
        put("first")(conn)
        written.set()
        await_only(go_on.wait())

    putting = asyncio.ensure_future(slow.transact(put_slowly))
    await written.wait()
    await db.transact(put("second"))
    running = await db.transact(lambda conn: inbox.claim_head(conn, "t:1", "a", 10))
    assert running is not None
    assert running.input.dedupe_key == "second"
    go_on.set()
    await putting
    assert await db.transact(lambda conn: inbox.claim_head(conn, "t:1", "b", 10)) is None
    await db.transact(lambda conn: inbox.finish(conn, running.lease))
    following = await db.transact(lambda conn: inbox.claim_head(conn, "t:1", "b", 10))
    assert following is not None
    assert following.input.dedupe_key == "first"
    await slow.stop()
