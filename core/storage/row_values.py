"""Values of rows as they are the same in every database, and what tells whether two tables hold the same rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Integer, Select, Table, select, type_coerce

from core.contracts.errors import StorageError

_MODULUS = 2**256
_EXACT = Context(prec=1200)
"""Digits enough for every number of 64 bits as it is."""


def select_rows(table: Table, dialect: str) -> Select[Any]:
    """Return what reads the rows of a table as they are stored, in the order of its primary key."""
    columns = [
        # Two of the three store 0 and 1; another number would pass for true without a word.
        type_coerce(column, Integer).label(column.name)
        if isinstance(column.type, Boolean) and dialect != "postgresql"
        else column
        for column in table.columns
    ]
    return select(*columns).order_by(*table.primary_key.columns)


def plain(table: Table, row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a row that was read by `select_rows` in values that every database takes.

    Raises StorageError for a truth value that is neither true nor false.
    """
    return tuple(_plain(table, column, value) for column, value in zip(table.columns, row, strict=True))


def _plain(table: Table, column: Any, value: Any) -> Any:
    if isinstance(column.type, Boolean) and value is not None and not isinstance(value, bool):
        if value not in (0, 1):
            raise StorageError(f"{table.name}.{column.name} holds {value!r}, which is neither true nor false.")
        return bool(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value


class Fingerprint:
    """What tells whether two tables hold the same rows, in whatever order they are read."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take rows in, in values that `plain` has returned."""
        for row in rows:
            self.rows += 1
            self._sum = (self._sum + int.from_bytes(digest(row))) % _MODULUS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and (self.rows, self._sum) == (other.rows, other._sum)

    __hash__ = None  # type: ignore[assignment] # it changes


def digest(row: Sequence[Any]) -> bytes:
    """Return the SHA-256 of a row's values, each with its kind and its length."""
    found = hashlib.sha256()
    for value in row:
        kind, content = _canonical(value)
        found.update(b"%c%d:" % (kind, len(content)))
        found.update(content)
    return found.digest()


def _canonical(value: Any) -> tuple[bytes, bytes]:
    if value is None:
        return b"0", b""
    if isinstance(value, bool):
        return b"b", b"1" if value else b"0"
    if isinstance(value, str):
        return b"s", value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes | bytearray | memoryview):
        return b"y", bytes(value)
    if isinstance(value, int):
        return b"n", str(value).encode()
    if isinstance(value, float | Decimal):  # 3, 3.0 and 3.000 are the same in one database and not in another
        return b"n", f"{_EXACT.add(_EXACT.create_decimal(value).normalize(_EXACT), 0):f}".encode()
    if isinstance(value, datetime):
        naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo is not None else value
        return b"t", naive.isoformat(timespec="microseconds").encode()
    if isinstance(value, date | time):
        return b"t", value.isoformat().encode()
    if isinstance(value, UUID):
        return b"u", value.bytes
    return b"j", json.dumps(value, sort_keys=True, ensure_ascii=False).encode()


def size_of(row: Sequence[Any]) -> int:
    """Return about how many bytes a row has."""
    return sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
