"""Lanes that several processes on one server take turns in."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MARIADB: dict[str, Any] = {
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}


def upgrade() -> None:
    """Create the table, if an upgrade that was cut off on MariaDB has not done so already."""
    if sa.inspect(op.get_bind()).has_table("lanes"):
        return
    op.create_table("lanes", sa.Column("lane", sa.String(400), primary_key=True), **MARIADB)
