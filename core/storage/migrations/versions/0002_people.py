"""Who may talk, the codes that strangers were given, and what budgets are counted by."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Key = sa.String(190)
Word = sa.String(40)
MARIADB: dict[str, Any] = {
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}


def upgrade() -> None:
    """Create the tables and the indexes."""
    op.create_index("inbox_principal", "inbox", ["principal", "state", "not_before_ms"])
    op.create_index("turns_principal", "turns", ["principal", "started_at_ms"])
    op.create_table(
        "people",
        sa.Column("principal", Key, primary_key=True),
        sa.Column("role", Word, nullable=False),
        sa.Column("name", Key, nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", Key, nullable=False),
        sa.Column("tell", sa.String(400), nullable=False),
        **MARIADB,
    )
    op.create_table(
        "pairings",
        sa.Column("principal", Key, primary_key=True),
        sa.Column("interface", Word, nullable=False),
        sa.Column("code", Word, nullable=False),
        sa.Column("name", Key, nullable=False),
        sa.Column("address", sa.String(400), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("code", name="pairings_code"),
        **MARIADB,
    )
    op.create_index("pairings_interface", "pairings", ["interface", "expires_at_ms"])
    op.create_table(
        "notices",
        sa.Column("principal", Key, primary_key=True),
        sa.Column("kind", Word, primary_key=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        **MARIADB,
    )
    op.create_index("notices_at", "notices", ["at_ms"])
