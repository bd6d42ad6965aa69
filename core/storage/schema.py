"""Bringing the schema up to date: migrations on start, and Alembic imported only when there are some to run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import inspect, text

from core.contracts.errors import StorageError
from core.storage.tables import metadata

T = TypeVar("T")

HEAD = "0007"
"""The newest migration; a test compares it with the folder."""

VERSION_TABLE = (
    "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
"""As Alembic itself creates it."""

UNFINISHED_COPY = "unfinished copy"
UNFINISHED_RESTORE = "unfinished restore"
"""What stands in place of a revision while `rekku db copy` or `db restore` writes: greater than every revision, so
that no version of Rekku starts on half of its rows."""

MIGRATIONS = Path(__file__).parent / "migrations"


def revision(conn: Any) -> str:
    """Return the schema's revision, or "" for an empty database."""
    if not inspect(conn).has_table("alembic_version"):
        return ""
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


class Upgradable(Protocol):
    """A database whose schema can be changed."""

    async def read(self, fn: Callable[[Any], T]) -> T:
        """See `core.contracts.services.Database`."""

    async def exclusively(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(conn)` in a transaction while no other process runs one of these, however long it takes."""


async def upgrade(database: Upgradable) -> str:
    """Bring the schema to HEAD and return the revision that was found; raises StorageError for a newer one."""
    found = await database.read(revision)
    if found == HEAD:
        return found
    if found > HEAD:
        raise refusal(found)
    await database.exclusively(bring_up_to_date)
    return found


def refusal(found: str) -> StorageError:
    """Return why a database is not used whose revision is greater than HEAD."""
    if found == UNFINISHED_COPY:
        return StorageError(
            "This database is the target of a copy that was not finished.",
            cure="Go on with `rekku db copy FROM TO --resume`, or remove the database.",
        )
    if found == UNFINISHED_RESTORE:
        return StorageError(
            "A backup was being restored into this database, and that was not finished.",
            cure="Restore it again: `rekku db restore PATH --force`.",
        )
    return StorageError(
        f"The database has schema {found}, this version of Rekku knows up to {HEAD}.",
        cure="Install the newer version of Rekku again, or restore a backup made before the upgrade.",
    )


def set_revision(conn: Any, revision: str) -> None:
    """Let the schema have this revision, or be marked as UNFINISHED_COPY or UNFINISHED_RESTORE."""
    conn.execute(text(VERSION_TABLE))
    if not conn.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision}).rowcount:
        present = conn.execute(text("SELECT count(*) FROM alembic_version")).scalar()
        if not present:  # MariaDB counts no row that had this value before
            conn.execute(text("INSERT INTO alembic_version (version_num) VALUES (:new)"), {"new": revision})


def bring_up_to_date(conn: Any) -> None:
    """Bring the schema to HEAD, unless another process has done so meanwhile."""
    found = revision(conn)
    if not found:
        create_all(conn)
    elif found < HEAD:
        migrate(conn)


def create_all(conn: Any) -> None:
    """Create every table of an empty database at once; a test shows that the migrations lead to the same.

    Where creating a table cannot be undone (MariaDB), what an interrupted first start has left is completed. Raises
    StorageError, before anything is created, where somebody else's table has one of our names.
    """
    there = inspect(conn)
    for name in metadata.tables.keys() & set(there.get_table_names()):
        if {column["name"] for column in there.get_columns(name)} != set(metadata.tables[name].columns.keys()):
            raise StorageError(
                f"The database holds a table {name} that is not Rekku's.",
                cure="Give Rekku a database of its own.",
            )
    metadata.create_all(conn)
    conn.execute(text(VERSION_TABLE))
    conn.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})


def migrate(conn: Any) -> None:
    """Run the migrations that are missing, inside the transaction of `conn`."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
