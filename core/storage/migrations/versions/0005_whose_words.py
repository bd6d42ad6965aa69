"""Whose each message is, also where no turn came of it: without that a person's words cannot be found again."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Key = sa.String(190)


def upgrade() -> None:
    """Add the column and the indexes; what came of a turn is its principal's, of older talk nobody knows it."""
    there = sa.inspect(op.get_bind())  # MariaDB undoes no part of an upgrade that was cut off
    if any(column["name"] == "principal" for column in there.get_columns("messages")):
        _fill_and_index(there)
        return
    # SQLite writes a column that is added behind the constraints: only a table that is made anew is the same.
    recreate: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("messages", recreate=recreate) as table:
        table.add_column(sa.Column("principal", Key, nullable=False, server_default=""))
    _fill_and_index(there)


def _fill_and_index(there: sa.Inspector) -> None:
    messages = sa.table("messages", sa.column("turn_id"), sa.column("principal"))
    turns = sa.table("turns", sa.column("id"), sa.column("principal"))
    whose = sa.select(turns.c.principal).where(turns.c.id == messages.c.turn_id).scalar_subquery()
    known = messages.c.turn_id.in_(sa.select(turns.c.id))
    op.execute(messages.update().where(known).values(principal=whose))
    indexes = {index["name"] for index in there.get_indexes("messages")}
    for name, column in (("messages_turn", "turn_id"), ("messages_principal", "principal")):
        if name not in indexes:
            op.create_index(name, "messages", [column])
