"""Reminders, the zones that people live by, and what takes an action back."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
Key = sa.String(190)
Word = sa.String(40)
MARIADB: dict[str, Any] = {
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}


def upgrade() -> None:
    """Create the tables and the columns."""
    op.create_table(
        "reminders",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("principal", Key, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(400), nullable=False),
        sa.Column("asked_in", sa.String(400), nullable=False),
        sa.Column("text", LongText, nullable=False),
        sa.Column("mode", Word, nullable=False),
        sa.Column("start", Word, nullable=False),
        sa.Column("zone", Key, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("elapsed", sa.Boolean(), nullable=False),
        sa.Column("next_local", Word, nullable=False),
        sa.Column("next_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.Integer()),
        sa.Column("missed", Word, nullable=False),
        sa.Column("max_lateness_s", sa.Integer()),
        sa.Column("tainted", sa.Boolean(), nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("number", name="reminders_number"),
        **MARIADB,
    )
    op.create_index("reminders_principal", "reminders", ["principal", "state", "next_at_ms"])
    op.create_index("reminders_state", "reminders", ["state", "id"])
    op.create_table(
        "zones",
        sa.Column("principal", Key, primary_key=True),
        sa.Column("zone", Key, nullable=False),
        **MARIADB,
    )
    op.create_table(
        "compensations",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("turn_id", Id, nullable=False),
        sa.Column("action_id", Key, nullable=False),
        sa.Column("action", Key, nullable=False),
        sa.Column("principal", Key, nullable=False),
        sa.Column("lane", sa.String(400), nullable=False),
        sa.Column("undo", LongText, nullable=False),
        sa.Column("undone_by", Id, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("action_id", name="compensations_action"),
        **MARIADB,
    )
    op.create_index("compensations_last", "compensations", ["principal", "undone_by", "id"])
