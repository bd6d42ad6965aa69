"""The numbers that a database gives to new rows: they go on where the copied ones end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Integer, Table, func, inspect, select, text

from core.contracts.errors import StorageError


def next_number(conn: Any, table: Table) -> int:
    """Return the number that the next row of a table gets at least; 0 where it counts none."""
    column = _counted(table)
    if column is None:
        return 0
    behind = int(conn.execute(select(func.max(column))).scalar() or 0) + 1
    return max(behind, _known(conn, table, column))


def go_on_with(conn: Any, table: Table, number: int) -> None:
    """Let the next row of a table get `number`."""
    column = _counted(table)
    if column is None:
        return
    quote = conn.dialect.identifier_preparer.quote
    if conn.dialect.name == "postgresql":
        sequence = _sequence(conn, table, column)
        if sequence is None:
            raise StorageError(f"{table.name}.{column.name} has no sequence in the target.")
        conn.execute(text("SELECT setval(CAST(:name AS regclass), :next, false)"), {"name": sequence, "next": number})
    elif conn.dialect.name == "mariadb":
        conn.execute(text(f"ALTER TABLE {quote(table.name)} AUTO_INCREMENT = {int(number)}"))
    # SQLite takes the number behind the greatest one that is there.


def _counted(table: Table) -> Column[Any] | None:
    columns = list(table.primary_key.columns)
    if len(columns) != 1 or not columns[0].autoincrement or not isinstance(columns[0].type, Integer):
        return None
    return columns[0] if table.autoincrement_column is columns[0] else None


def _known(conn: Any, table: Table, column: Column[Any]) -> int:
    """Return the database's own next number: it may be behind that of the newest row, which may be gone."""
    if conn.dialect.name == "postgresql":
        sequence = _sequence(conn, table, column)
        if sequence is None:
            return 0
        last, called = conn.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()
        return int(last) + bool(called)
    if conn.dialect.name == "mariadb":
        statement = "SELECT auto_increment FROM information_schema.tables WHERE table_schema = DATABASE()"
        return int(conn.execute(text(f"{statement} AND table_name = :name"), {"name": table.name}).scalar() or 0)
    if not inspect(conn).has_table("sqlite_sequence"):
        return 0
    statement = "SELECT seq FROM sqlite_sequence WHERE name = :name"
    return int(conn.execute(text(statement), {"name": table.name}).scalar() or 0) + 1


def _sequence(conn: Any, table: Table, column: Column[Any]) -> str | None:
    """Return the name of a column's sequence, quoted as it has to be."""
    quoted = conn.dialect.identifier_preparer.quote(table.name)
    found = conn.execute(
        text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": quoted, "column": column.name}
    ).scalar()
    return None if found is None else str(found)
