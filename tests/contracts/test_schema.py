"""The schema: made at once or by the migrations it is the same, and what cannot be used is refused in clear words."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from core.contracts.errors import StorageError
from core.contracts.inputs import Address, Input, InputKind, Principal
from core.services import inbox, roles
from core.storage import schema
from core.storage.sqlite import SqliteDatabase
from core.storage.tables import metadata


async def made_by(make: Callable[[Any], None], path: Path) -> dict[str, str]:
    """Make a schema in a new file; return its SQL by name, without white space and quotes."""
    database = SqliteDatabase(path)
    await database.start()
    await database.transact(make)
    await database.stop()
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: re.sub(r'[\s"]+', "", sql) for name, sql in rows}


async def test_the_migrations_lead_to_the_tables(tmp_path: Path) -> None:
    created = await made_by(schema.create_all, tmp_path / "created.db")
    migrated = await made_by(schema.migrate, tmp_path / "migrated.db")

    assert created.keys() == migrated.keys()
    for name, sql in created.items():
        assert migrated[name] == sql
    assert {table.name for table in metadata.sorted_tables} < created.keys()


@pytest.mark.parametrize("make", [schema.create_all, schema.migrate])
async def test_nothing_is_left_to_migrate(make: Callable[[Any], None], tmp_path: Path) -> None:
    path = tmp_path / "made.db"
    await made_by(make, path)
    with create_engine(f"sqlite:///{path}").connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [schema.HEAD]


async def test_a_database_of_the_first_version_is_brought_up_to_date_with_all_it_holds(tmp_path: Path) -> None:
    def first(conn: Any) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")

    path = tmp_path / "old.db"
    tables = await made_by(first, path)
    assert "people" not in tables
    database = SqliteDatabase(path)
    await database.start()
    hello = Input(
        kind=InputKind.MESSAGE, principal=Principal("t", "1"), address=Address("t", "1"), dedupe_key="1", text="hello"
    )
    await database.transact(lambda conn: inbox.put(conn, hello, 5, passes_lanes=False))
    assert await schema.upgrade(database) == "0001"
    assert await database.read(schema.revision) == schema.HEAD
    claimed = await database.transact(lambda conn: inbox.claim_head(conn, "t:1", "me", 6))
    assert claimed is not None
    assert claimed.input == hello
    assert await database.read(roles.everyone) == {}
    await database.stop()
    created = await made_by(schema.create_all, tmp_path / "created.db")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    assert {name for (name,) in rows} == created.keys()


def test_head_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(schema.MIGRATIONS))
    files = sorted(path.stem.partition("_")[0] for path in (schema.MIGRATIONS / "versions").glob("*.py"))
    assert scripts.get_heads() == [schema.HEAD]
    assert files[-1] == schema.HEAD
    assert files == sorted(script.revision for script in scripts.walk_revisions())
    assert all(re.fullmatch(r"\d{4}", number) for number in files), "revisions are compared as text"


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    database = SqliteDatabase(path)
    await database.start()
    assert await schema.upgrade(database) == ""
    assert await schema.upgrade(database) == schema.HEAD
    assert await database.read(schema.revision) == schema.HEAD
    await database.stop()


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "newer.db")
    await database.start()
    await schema.upgrade(database)
    await database.transact(
        lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = '9999'")).rowcount
    )
    with pytest.raises(
        StorageError, match=f"schema 9999, this version of Rekku knows up to {schema.HEAD}"
    ) as refused:
        await schema.upgrade(database)
    await database.stop()
    assert "newer version" in refused.value.cure


@pytest.mark.parametrize(
    "content", [b"This is a text, not a database. " * 40, b"SQLite format 3\x00" + b"\xff" * 4096]
)
async def test_a_file_that_is_no_database_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"text\.db cannot be opened") as refused:
        await SqliteDatabase(path).start()
    assert "backup" in refused.value.cure
    assert path.read_bytes() == content


async def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="missing") as refused:
        await SqliteDatabase(tmp_path / "missing" / "rekku.db").start()
    assert "directory exists" in refused.value.cure


async def test_whose_each_message_is_becomes_known_where_a_turn_tells_it(tmp_path: Path) -> None:
    def third(conn: Any) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = conn
        command.upgrade(config, "0003")
        turn = "INSERT INTO turns (id, input_id, session_id, lane, principal, origin, state, reason, steps,"
        conn.execute(
            text(f"{turn} started_at_ms, ended_at_ms) VALUES (7, 1, 1, 't:1', 't:1', 'user', '', '', 0, 1, 1)")
        )
        row = "INSERT INTO messages (session_id, turn_id, role, author, text, tainted, at_ms) VALUES"
        for turn_id in (7, 0, 8):
            conn.execute(text(f"{row} (1, {turn_id}, 'user', 'Ann', 'hello', 0, 1)"))

    path = tmp_path / "third.db"
    await made_by(third, path)
    database = SqliteDatabase(path)
    await database.start()
    assert await schema.upgrade(database) == "0003"
    whose = text("SELECT turn_id, principal, author, text FROM messages ORDER BY id")
    rows = await database.read(lambda conn: [tuple(row) for row in conn.execute(whose)])
    await database.stop()
    assert rows == [(7, "t:1", "Ann", "hello"), (0, "", "Ann", "hello"), (8, "", "Ann", "hello")]
