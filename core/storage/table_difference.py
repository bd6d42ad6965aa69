"""Why a database refuses a row that another has: its table may be narrower than the one that a copy would create."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, inspect, text

_CHARSETS = (
    "SELECT column_name, character_set_name FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND table_name = :name AND character_set_name NOT LIKE 'utf8mb4%'"
)
_JSON = "json_valid"
"""What MariaDB puts on a column of JSON by itself."""


def narrower_in(conn: Any, table: Table) -> str:
    """Return what makes the table of `conn` take less than `table` as it is described, "" when nothing does."""
    look, dialect = inspect(conn), conn.dialect
    if not look.has_table(table.name):
        return ""
    if dialect.name == "mariadb":
        for name, charset in conn.execute(text(_CHARSETS), {"name": table.name}):
            return f"{name} is in {charset} there"
    for found in look.get_columns(table.name):
        column = table.columns.get(found["name"])
        if column is None:
            continue
        if column.nullable and not found["nullable"]:
            return f"{column.name} may not be empty there"
        length = getattr(found["type"], "length", None)
        wanted = getattr(column.type.dialect_impl(dialect), "length", None)
        if dialect.name != "sqlite" and length is not None and (wanted is None or length < wanted):
            return f"{column.name} holds {length} there"
    for check in look.get_check_constraints(table.name):
        if _JSON not in str(check["sqltext"]).lower():
            return f"there is a check there, {check['name'] or check['sqltext']}"
    known = {frozenset(column.name for column in index.columns) for index in table.indexes if index.unique}
    known |= {frozenset(c.columns.keys()) for c in table.constraints if hasattr(c, "columns")}
    for unique in look.get_unique_constraints(table.name):
        if frozenset(unique["column_names"]) not in known:
            return f"{', '.join(unique['column_names'])} must be unique there"
    return ""
