"""`copy` between SQLite, MariaDB and PostgreSQL: every row comes over, and nothing half is taken for whole."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, inspect, select, text

from core.contracts.errors import HomeInUse, StorageError
from core.storage import copying, schema, tables
from core.storage.opening import StoredDatabase
from core.storage.row_values import Fingerprint, plain, select_rows
from core.storage.server import ServerDatabase
from core.storage.sqlite import SqliteDatabase
from tests.support import nasty_rows
from tests.support.database_servers import ServersOfTests

DIALECTS = ("sqlite", "mariadb", "postgresql")
ALL_ROWS = nasty_rows.MESSAGES + 1 + 8 + 1 + 2 + 2 + 2 + 3
Place = Callable[..., StoredDatabase]


@pytest.fixture
def place(database_servers: ServersOfTests, tmp_path: Path) -> Callable[[str], Place]:
    """Return what names a new place of a dialect, which can be opened again and again."""
    numbers = itertools.count()

    def of(dialect: str) -> Place:
        if dialect == "sqlite":
            path = tmp_path / f"{next(numbers)}.db"
            return lambda **options: SqliteDatabase(path, **options)
        url = database_servers.url(dialect)
        return lambda **options: ServerDatabase(url, **options)

    return of


@asynccontextmanager
async def opened(make: Place, **options: Any) -> AsyncIterator[StoredDatabase]:
    database = make(**options)
    await database.start()
    try:
        yield database
    finally:
        await database.stop()


async def filled(make: Place, fill: Callable[[Any], None] = nasty_rows.fill) -> Place:
    async with opened(make) as database:
        await schema.upgrade(database)
        await database.exclusively(fill)
    return make


async def copied(source: Place, target: Place, *, resume: bool = False, **how: Any) -> copying.CopyReport:
    async with opened(source, read_only=True) as reading, opened(target) as writing:
        return await copying.copy(reading, writing, resume=resume, **how)


async def fingerprints(make: Place) -> dict[str, Fingerprint]:
    """Return what tells two databases apart, read from tables as the plugin itself declares them."""

    def read(conn: Any) -> dict[str, Fingerprint]:
        found = {}
        for table in (*tables.metadata.sorted_tables, *nasty_rows.plugin.sorted_tables):
            found[table.name] = Fingerprint()
            rows = conn.execute(select_rows(table, conn.dialect.name))
            found[table.name].add(plain(table, row) for row in rows)
        return found

    async with opened(make, read_only=True) as database:
        return await database.read(read)


def _way(kind: str, other: str) -> Any:
    return pytest.param(kind, other, marks=pytest.mark.service)


DIRECTIONS = [_way(*pair) for pair in itertools.permutations(DIALECTS, 2)]
ways = pytest.mark.parametrize(("kind", "other"), DIRECTIONS)
some_ways = pytest.mark.parametrize(("kind", "other"), [DIRECTIONS[place] for place in (0, 3, 4)])
"""Each database once on either side."""


@ways
async def test_every_row_comes_over_and_the_next_ones_get_new_numbers(
    kind: str, other: str, place: Callable[[str], Place]
) -> None:
    source, target = await filled(place(kind)), place(other)
    report = await copied(source, target)
    assert sum(report.rows.values()) == ALL_ROWS
    assert report.left_out == []
    before = await fingerprints(source)
    assert before == await fingerprints(target)
    assert before["messages"].rows == nasty_rows.MESSAGES

    def go_on(conn: Any) -> tuple[int, int, Any]:
        assert schema.revision(conn) == schema.HEAD
        message = {"session_id": 1, "role": "user", "text": "next", "at_ms": 1}
        number = conn.execute(insert(tables.messages), [message]).rowcount
        number = conn.execute(select(func.max(tables.messages.c.id))).scalar()
        conn.execute(text("INSERT INTO notes_note (big, done) VALUES (1, :no)"), {"no": False})
        # Its defaults have come along.
        note = conn.execute(text("SELECT id, text FROM notes_note WHERE big = 1")).one()
        return number, *note

    async with opened(target) as database:
        assert await database.transact(go_on) == (nasty_rows.MESSAGES + 1, 2**40 + 1, "it's empty")
        await schema.upgrade(database)


@some_ways
async def test_the_tables_of_plugins_have_the_same_columns_keys_and_indexes(
    kind: str, other: str, place: Callable[[str], Place]
) -> None:
    def shape(conn: Any) -> dict[str, Any]:
        look = inspect(conn)
        return {
            table: (
                [(c["name"], c["nullable"], c["type"].python_type) for c in look.get_columns(table)],
                look.get_pk_constraint(table)["constrained_columns"],
                {i["name"] for i in look.get_indexes(table)} & {"notes_at"},
                [(key["constrained_columns"], key["referred_table"]) for key in look.get_foreign_keys(table)],
            )
            for table in ("notes_note", "notes_tag", "notes_word")
        }

    source, target = await filled(place(kind)), place(other)
    await copied(source, target)
    shapes = []
    for make in (source, target):
        async with opened(make, read_only=True) as database:
            shapes.append(await database.read(shape))
    # MariaDB keeps truth values as numbers, and the driver tells its doubles as decimals.
    seen = [repr(each).replace("bool", "int").replace("decimal.Decimal", "float") for each in shapes]
    assert seen[0] == seen[1]
    async with opened(target) as database:
        with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
            await database.transact(lambda conn: conn.execute(insert(nasty_rows.tags), [{"name": "Straße"}]).rowcount)


class _Stop(Exception):
    pass


def stopped_after(rows: int) -> Callable[[str, str, int], None]:
    """Return a progress that raises when so many rows were copied."""
    left = rows

    def progress(what: str, table: str, count: int) -> None:
        nonlocal left
        left -= count
        if left <= 0:
            raise _Stop

    return progress


@some_ways
async def test_what_was_cut_off_is_not_started_on_and_goes_on_where_it_was(
    kind: str, other: str, place: Callable[[str], Place]
) -> None:
    source, target = await filled(place(kind)), place(other)
    with pytest.raises(_Stop):
        await copied(source, target, progress=stopped_after(600))
    async with opened(target) as database:
        with pytest.raises(StorageError, match="copy that was not finished") as refused:
            await schema.upgrade(database)
        assert "--resume" in refused.value.cure
        there = await database.read(
            lambda conn: conn.execute(select(func.count()).select_from(tables.messages)).scalar()
        )
    assert 0 < there < nasty_rows.MESSAGES
    with pytest.raises(StorageError, match="not finished"):
        await copied(source, target)
    report = await copied(source, target, resume=True)
    assert report.resumed >= there
    assert await fingerprints(source) == await fingerprints(target)


@pytest.mark.service
@pytest.mark.parametrize("other", ["mariadb", "postgresql"])
async def test_a_source_that_has_changed_since_is_copied_anew(other: str, place: Callable[[str], Place]) -> None:
    source, target = await filled(place("sqlite")), place(other)
    with pytest.raises(_Stop):
        await copied(source, target, progress=stopped_after(ALL_ROWS + 1))  # all is written, nothing checked
    async with opened(source) as database:
        await database.transact(
            lambda conn: conn.execute(text("UPDATE messages SET text = 'changed' WHERE id = 700")).rowcount
        )
        await database.transact(lambda conn: conn.execute(text("DELETE FROM kv WHERE key = 'ß'")).rowcount)
    report = await copied(source, target, resume=True)
    assert report.resumed == 0
    assert await fingerprints(source) == await fingerprints(target)


async def test_a_copy_that_is_not_the_same_is_not_finished(place: Callable[[str], Place]) -> None:
    source, target = await filled(place("sqlite")), place("sqlite")

    def change(what: str, table: str, count: int) -> None:
        if (what, table) == ("check", "inbox") or what == "check":
            import sqlite3
            from contextlib import closing

            with closing(sqlite3.connect(target().where, isolation_level=None)) as connection:
                connection.execute("UPDATE sessions SET lane = 'T:1'")

    with pytest.raises(StorageError, match="copy of sessions is not the same"):
        await copied(source, target, progress=change)
    async with opened(target) as database:
        assert await database.read(schema.revision) == schema.UNFINISHED_COPY


@pytest.mark.parametrize(
    "other", ["sqlite", *(pytest.param(name, marks=pytest.mark.service) for name in DIALECTS[1:])]
)
async def test_a_target_with_rows_is_refused_and_stays_as_it_is(other: str, place: Callable[[str], Place]) -> None:
    source = await filled(place("sqlite"))

    def one_person(conn: Any) -> None:
        conn.execute(text("INSERT INTO lanes VALUES ('mine')"))

    target = await filled(place(other), one_person)
    with pytest.raises(StorageError, match="not empty: there are rows in lanes"):
        await copied(source, target)
    async with opened(target) as database:
        assert await schema.upgrade(database) == schema.HEAD
        assert await database.read(lambda conn: conn.execute(text("SELECT lane FROM lanes")).all()) == [("mine",)]


@pytest.mark.service
@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
async def test_a_source_that_somebody_works_on_is_refused(
    kind: str, place: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.database_use.LOOKS", 2)
    source, target = await filled(place(kind)), place("sqlite")
    async with opened(source) as serving:
        await serving.read(schema.revision)
        with pytest.raises(HomeInUse, match="in use: 1 more connection"):
            await copied(source, target)
    await copied(source, target)


@pytest.mark.service
@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
async def test_who_comes_meanwhile_keeps_the_copy_from_being_finished(
    kind: str, place: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.database_use.LOOKS", 2)
    source, target = await filled(place(kind)), place("sqlite")
    late: list[asyncio.Task[None]] = []
    ended = asyncio.Event()

    async def serve() -> None:
        async with opened(source) as database:
            await database.read(schema.revision)
            await ended.wait()

    def progress(what: str, table: str, count: int) -> None:
        if not late:
            late.append(asyncio.get_running_loop().create_task(serve()))

    with pytest.raises(HomeInUse):
        await copied(source, target, progress=progress)
    ended.set()
    await late[0]
    async with opened(target) as database:
        assert await database.read(schema.revision) == schema.UNFINISHED_COPY
    await copied(source, target, resume=True)
    assert await fingerprints(source) == await fingerprints(target)


@pytest.mark.service
async def test_a_row_that_the_target_does_not_take_is_named(place: Callable[[str], Place]) -> None:
    source = await filled(place("sqlite"))
    async with opened(source) as database:
        await database.transact(
            lambda conn: conn.execute(text("UPDATE notes_note SET text = 'a' || char(0) WHERE id = 3")).rowcount
        )
    with pytest.raises(StorageError, match="does not take the row 3 of notes_note") as refused:
        await copied(source, place("postgresql"))
    assert "in the source" in refused.value.cure
    async with opened(source) as database:
        await database.transact(
            lambda conn: conn.execute(text("UPDATE notes_note SET text = '', done = 2 WHERE id = 3")).rowcount
        )
    with pytest.raises(StorageError, match=r"notes_note\.done holds 2, which is neither true nor false"):
        await copied(source, place("postgresql"))


@pytest.mark.service
@pytest.mark.parametrize(
    ("other", "change", "why"),
    [
        ("mariadb", "text LONGTEXT CHARACTER SET latin1", "text is in latin1 there"),
        ("mariadb", "text VARCHAR(3) CHARACTER SET utf8mb4", "text holds 3 there"),
        ("postgresql", "text VARCHAR(3)", "text holds 3 there"),
        ("postgresql", "text TEXT CONSTRAINT short CHECK (length(text) < 4)", "there is a check there, short"),
    ],
)
async def test_a_table_of_the_target_that_takes_less_is_what_is_named(
    other: str, change: str, why: str, place: Callable[[str], Place]
) -> None:
    def one_note(conn: Any) -> None:
        conn.execute(text("CREATE TABLE jot (id INTEGER PRIMARY KEY, text TEXT)"))
        conn.execute(text("INSERT INTO jot VALUES (1, '🙂🙂🙂🙂')"))

    source, target = await filled(place("sqlite"), one_note), place(other)
    async with opened(target) as database:
        await schema.upgrade(database)
        await database.exclusively(
            lambda conn: conn.execute(text(f"CREATE TABLE jot (id BIGINT NOT NULL PRIMARY KEY, {change})")).rowcount
        )
    with pytest.raises(StorageError, match="does not take the row 1 of jot") as refused:
        await copied(source, target)
    assert why in refused.value.cure
    assert "in the target" in refused.value.cure
    async with opened(target) as database:
        await database.exclusively(lambda conn: conn.execute(text("DROP TABLE jot")).rowcount)
    await copied(source, target, resume=True)
    async with opened(target) as database:
        found = await database.read(lambda conn: conn.execute(text("SELECT text FROM jot")).scalar())
    assert found == "🙂🙂🙂🙂"


async def test_an_older_source_has_to_be_upgraded_first(place: Callable[[str], Place]) -> None:
    source = await filled(place("sqlite"))
    async with opened(source) as database:
        await database.transact(lambda conn: schema.set_revision(conn, "0001"))
    with pytest.raises(StorageError, match="has schema 0001") as refused:
        await copied(source, place("sqlite"))
    assert "rekku db upgrade" in refused.value.cure
    empty = place("sqlite")
    async with opened(empty):
        pass
    with pytest.raises(StorageError, match="no tables of Rekku"):
        await copied(empty, place("sqlite"))
