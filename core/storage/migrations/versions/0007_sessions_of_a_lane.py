"""Several conversations a lane with titles and turn strategies, notes of plugins, and what their model calls cost."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
Key = sa.String(190)
Word = sa.String(40)
MARIADB: dict[str, Any] = {
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}


def upgrade() -> None:
    """Add the columns and create the tables, but for those that an upgrade cut off on MariaDB has made already."""
    there = sa.inspect(op.get_bind())
    _sessions(there)
    if not there.has_table("notes"):
        op.create_table(
            "notes",
            sa.Column("id", Id, primary_key=True, autoincrement=True),
            sa.Column("address", sa.String(400), nullable=False),
            sa.Column("plugin", Key, nullable=False),
            sa.Column("text", LongText, nullable=False),
            sa.Column("tainted", sa.Boolean(), nullable=False),
            sa.Column("turn_id", Id, nullable=False),
            sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
            **MARIADB,
        )
    if not there.has_table("asks"):
        op.create_table(
            "asks",
            sa.Column("id", Id, primary_key=True, autoincrement=True),
            sa.Column("principal", Key, nullable=False),
            sa.Column("plugin", Key, nullable=False),
            sa.Column("engine", Word, nullable=False),
            sa.Column("tokens", sa.Integer(), nullable=False),
            sa.Column("at_ms", sa.BigInteger(), nullable=False),
            **MARIADB,
        )
    _index("notes_address", "notes", ["address", "id"], mariadb_length={"address": 190})
    _index("notes_created", "notes", ["created_at_ms"])
    _index("asks_principal", "asks", ["principal", "at_ms"])
    _index("asks_at", "asks", ["at_ms"])


def _sessions(there: sa.Inspector) -> None:
    added = (
        sa.Column("title", Key, nullable=False, server_default=""),
        sa.Column("strategy", Word, nullable=False, server_default=""),
        sa.Column("picked", sa.Integer(), nullable=False, server_default="0"),
    )
    names = {column["name"] for column in there.get_columns("sessions")}
    missing = [column for column in added if column.name not in names]
    if not missing:
        return
    # SQLite writes a column that is added behind the constraints: only a table that is made anew is the same.
    recreate: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("sessions", recreate=recreate) as table:
        for column in missing:
            table.add_column(column)


def _index(name: str, table: str, columns: list[str], **options: Any) -> None:
    known = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
    if name not in known:
        op.create_index(name, table, columns, **options)
