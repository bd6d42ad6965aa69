"""The history of events, for those who keep it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"

MARIADB: dict[str, Any] = {
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
Key = sa.String(190)


def upgrade() -> None:
    """Create the table, and the indexes that an upgrade that was cut off on MariaDB has not made yet."""
    there = sa.inspect(op.get_bind())
    if not there.has_table("events"):
        op.create_table(
            "events",
            sa.Column("id", Id, primary_key=True, autoincrement=True),
            sa.Column("event_id", Key, nullable=False),
            sa.Column("name", Key, nullable=False),
            sa.Column("source", Key, nullable=False),
            sa.Column("cause", Key, nullable=False),
            sa.Column("correlation_id", Key, nullable=False),
            sa.Column("principal", Key, nullable=False),
            sa.Column("lane", sa.String(400), nullable=False),
            sa.Column("data", LongText, nullable=False),
            sa.Column("outcome", sa.String(40), nullable=False),
            sa.Column("reason", LongText, nullable=False),
            sa.Column("runs", LongText, nullable=False),
            sa.Column("at_ms", sa.BigInteger, nullable=False),
            **MARIADB,
        )
    made = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("events")}
    for name, columns in (
        ("events_correlation", ["correlation_id", "id"]),
        ("events_principal", ["principal"]),
        ("events_lane", ["lane"]),
    ):
        if name not in made:
            op.create_index(name, "events", columns)
