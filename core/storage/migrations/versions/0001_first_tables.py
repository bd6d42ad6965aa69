"""The first tables.

A migration is never changed once it is released: it says what the schema was, `core.storage.tables` what it is.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

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
    """Create them."""
    op.create_table(
        "inbox",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("interface", Word, nullable=False),
        sa.Column("dedupe_key", Key, nullable=False),
        sa.Column("lane", sa.String(400), nullable=False),
        sa.Column("kind", Word, nullable=False),
        sa.Column("principal", Key, nullable=False),
        sa.Column("body", LongText, nullable=False),
        sa.Column("passes_lanes", sa.Boolean(), nullable=False),
        sa.Column("not_before_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.Column("turn_id", Id, nullable=False),
        sa.Column("resumed", sa.Integer(), nullable=False),
        sa.Column("lease_owner", Word, nullable=False),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("interface", "dedupe_key", name="inbox_dedupe"),
        **MARIADB,
    )
    op.create_index("inbox_lane", "inbox", ["lane", "state", "id"], mariadb_length={"lane": 190})
    op.create_index("inbox_open", "inbox", ["state", "not_before_ms"])
    op.create_index("inbox_received", "inbox", ["received_at_ms"])
    op.create_table(
        "sessions",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("lane", sa.String(400), nullable=False),
        sa.Column("engine", Word, nullable=False),
        sa.Column("model", Key, nullable=False),
        sa.Column("persona", Key, nullable=False),
        sa.Column("summary", LongText, nullable=False),
        sa.Column("summary_tainted", sa.Boolean(), nullable=False),
        sa.Column("summarized_to", Id, nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_at_ms", sa.BigInteger(), nullable=False),
        **MARIADB,
    )
    op.create_index("sessions_lane", "sessions", ["lane", "closed_at_ms"], mariadb_length={"lane": 190})
    op.create_table(
        "turns",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("input_id", Id, nullable=False),
        sa.Column("session_id", Id, nullable=False),
        sa.Column("lane", sa.String(400), nullable=False),
        sa.Column("principal", Key, nullable=False),
        sa.Column("origin", Word, nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=False),
        **MARIADB,
    )
    op.create_index("turns_input", "turns", ["input_id"])
    op.create_table(
        "replies",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("turn_id", Id, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("engine", Word, nullable=False),
        sa.Column("model", Key, nullable=False),
        sa.Column("text", LongText, nullable=False),
        sa.Column("finish_reason", Word, nullable=False),
        sa.Column("prompt_bytes", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer()),
        sa.Column("cached_tokens", sa.Integer()),
        sa.Column("completion_tokens", sa.Integer()),
        sa.Column("tainted", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("turn_id", "step", "attempt", name="replies_place"),
        **MARIADB,
    )
    op.create_table(
        "steps",
        sa.Column("turn_id", Id, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("tainted", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        **MARIADB,
    )
    op.create_table(
        "ledger",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("turn_id", Id, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("action", Key, nullable=False),
        sa.Column("payload", LongText, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("effect", Word, nullable=False),
        sa.Column("principal", Key, nullable=False),
        sa.Column("status", Word, nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("output", LongText),
        sa.Column("tainted", sa.Boolean(), nullable=False),
        sa.Column("approval_id", Word, nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("turn_id", "step", "position", name="ledger_place"),
        **MARIADB,
    )
    op.create_table(
        "messages",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("session_id", Id, nullable=False),
        sa.Column("turn_id", Id, nullable=False),
        sa.Column("role", Word, nullable=False),
        sa.Column("author", Key, nullable=False),
        sa.Column("text", LongText, nullable=False),
        sa.Column("tainted", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        **MARIADB,
    )
    op.create_index("messages_session", "messages", ["session_id", "id"])
    op.create_table(
        "outbox",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("address", sa.String(400), nullable=False),
        sa.Column("interface", Word, nullable=False),
        sa.Column("turn_id", Id, nullable=False),
        sa.Column("text", LongText, nullable=False),
        sa.Column("body", LongText, nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("message_id", Key, nullable=False),
        sa.Column("lease_owner", Word, nullable=False),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=False),
        **MARIADB,
    )
    op.create_index("outbox_open", "outbox", ["state", "address", "id"], mariadb_length={"address": 190})
    op.create_index("outbox_turn", "outbox", ["turn_id"])
    op.create_table(
        "approvals",
        sa.Column("id", Word, primary_key=True),
        sa.Column("turn_id", Id, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("lane", sa.String(400), nullable=False),
        sa.Column("action", Key, nullable=False),
        sa.Column("payload", LongText, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("principal", Key, nullable=False),
        sa.Column("approver", Key, nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("state", Word, nullable=False),
        sa.Column("scope", Word, nullable=False),
        sa.Column("decided_by", Key, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        **MARIADB,
    )
    op.create_index("approvals_state", "approvals", ["state", "expires_at_ms"])
    op.create_index("approvals_turn", "approvals", ["turn_id"])
    op.create_table(
        "kv",
        sa.Column("owner", sa.String(60), primary_key=True),
        sa.Column("key", Key, primary_key=True),
        sa.Column("value", LongText, nullable=False),
        **MARIADB,
    )
