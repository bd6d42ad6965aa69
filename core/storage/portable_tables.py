"""The tables of a database, the plugins' own included, as each of the three databases can have them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
    false,
    inspect,
    text,
    true,
    types,
)
from sqlalchemy.dialects import mysql

from core.contracts.errors import StorageError
from core.storage import tables

MARIADB_KEY_CHARACTERS = 760
"""Characters of utf8mb4 in one key of InnoDB, of 3072 bytes."""

_MARIADB: dict[str, Any] = {
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",  # texts are equal when they are the same, as in the other two
    "mariadb_engine": "InnoDB",
}
_Big = BigInteger().with_variant(Integer, "sqlite")
_QUOTED = re.compile(r"'((?:[^'\\]|''|\\.)*)'(?:::[a-z ]+(?:\(\d+\))?)?", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NOW = re.compile(r"(?:current_timestamp|now)(?:\(\d*\))?", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class PortableTables:
    """metadata: every table, the core's and the others. left_out: what of them is not taken over, in sentences."""

    metadata: MetaData
    left_out: list[str] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def name_for(self, index: str | None, table: str) -> str | None:
        """Return the name of an index: on MariaDB that of another table may have the same, elsewhere not."""
        if index is None:
            return None
        chosen = index if index not in self._names | set(self.metadata.tables) else f"{table}_{index}"
        self._names.add(chosen)
        return chosen

    def add_core(self, table: Table) -> None:
        """Take a table of the core in."""
        table.to_metadata(self.metadata)
        self._names |= {str(index.name) for index in table.indexes}

    @property
    def tables(self) -> list[Table]:
        """Every table, behind those that it refers to."""
        return list(self.metadata.sorted_tables)

    @property
    def others(self) -> list[Table]:
        """The tables that are not the core's."""
        return [table for table in self.tables if table.name not in tables.metadata.tables]


def portable_tables(conn: Any) -> PortableTables:
    """Return the tables of a database of this version; raises StorageError for a column that only it can have."""
    found = PortableTables(metadata=MetaData())
    for table in tables.metadata.sorted_tables:
        found.add_core(table)
    look = inspect(conn)
    for name in sorted(set(look.get_table_names()) - set(tables.metadata.tables) - {"alembic_version"}):
        _add(found, look, name, conn.dialect.name)
    return found


def _add(found: PortableTables, look: Any, name: str, dialect: str) -> None:
    key = look.get_pk_constraint(name)["constrained_columns"]
    uniques = look.get_unique_constraints(name)
    # A unique constraint is an index as well, but for SQLite, which tells it once.
    twice = {unique["name"] for unique in uniques}
    indexes = [i for i in look.get_indexes(name) if i["name"] not in twice and i.get("duplicates_constraint") is None]
    in_keys = _characters([key, *(u["column_names"] for u in uniques), *(i["column_names"] for i in indexes)])
    columns = look.get_columns(name)
    if dialect == "mariadb":
        _with_defaults(look, name, columns)
    generated = _generated(columns, key, dialect)
    parts: list[Any] = []
    for column in columns:
        kind = _portable(column["type"], dialect, in_keys.get(column["name"], 0))
        if kind is None:
            raise StorageError(
                f"{name}.{column['name']} is of the type {column['type']}, which the other databases do not have.",
                cure="Export and drop that table first, and let its plugin make it anew.",
            )
        default = None
        if column["name"] != generated and column.get("default") is not None:
            default = _default(str(column["default"]), kind)
            if default is None:
                found.left_out.append(f"the default of {name}.{column['name']} ({column['default']})")
        parts.append(
            Column(
                column["name"],
                kind,
                primary_key=column["name"] in key,
                nullable=bool(column["nullable"]) and column["name"] not in key,
                autoincrement=column["name"] == generated,
                server_default=default,
            )
        )
    parts += [UniqueConstraint(*u["column_names"], name=found.name_for(u["name"], name)) for u in uniques]
    parts += _foreign_keys(look, name)
    table = Table(name, found.metadata, *parts, **_MARIADB)
    for index in indexes:
        names = index["column_names"]
        if None in names or index.get("dialect_options", {}).get("sqlite_where") is not None or "where" in str(index):
            found.left_out.append(f"the index {index['name']} of {name}")
        else:
            Index(
                found.name_for(index["name"], name),
                *(table.columns[each] for each in names),
                unique=bool(index["unique"]),
            )


def _with_defaults(look: Any, name: str, columns: Collection[Any]) -> None:
    """Put in the defaults as MariaDB tells them; those that SQLAlchemy reads end at the first quote inside."""
    statement = "SELECT column_name, column_default FROM information_schema.columns WHERE table_schema = DATABASE()"
    said = dict(look.bind.execute(text(f"{statement} AND table_name = :name"), {"name": name}).all())
    for column in columns:
        default = said.get(column["name"])
        # It tells a quote as \', where the other two double it.
        column["default"] = None if default in (None, "NULL") else default.replace("\\'", "''")


def _foreign_keys(look: Any, name: str) -> list[ForeignKeyConstraint]:
    return [
        ForeignKeyConstraint(
            key["constrained_columns"],
            [f"{key['referred_table']}.{column}" for column in key["referred_columns"]],
            name=key["name"],
            onupdate=key["options"].get("onupdate"),
            ondelete=key["options"].get("ondelete"),
        )
        for key in look.get_foreign_keys(name)
    ]


def _characters(keys: Collection[Collection[str | None]]) -> dict[str, int]:
    """Return how many characters each column may have that stands in a key."""
    found: dict[str, int] = {}
    for key in keys:
        for column in key:
            if column is not None:
                found[column] = min(found.get(column, MARIADB_KEY_CHARACTERS), MARIADB_KEY_CHARACTERS // len(key))
    return found


def _generated(columns: Collection[Mapping[str, Any]], key: Collection[str], dialect: str) -> str:
    """Return the column whose values the database counts up by itself, or ""."""
    if len(key) != 1:
        return ""
    column = next(column for column in columns if column["name"] in key)
    if dialect == "sqlite":
        counted = str(column["type"]).upper() == "INTEGER"
    elif dialect == "postgresql":
        counted = "nextval(" in str(column.get("default")) or column.get("identity") is not None
    else:
        counted = bool(column.get("autoincrement"))
    return str(column["name"]) if counted else ""


def _portable(kind: Any, dialect: str, in_key: int) -> Any:
    """Return a type that each database has and that takes every value of `kind`; None where there is none."""
    if isinstance(kind, types.Boolean) or (isinstance(kind, mysql.TINYINT) and kind.display_width == 1):
        return Boolean()
    if isinstance(kind, types.Integer):
        return _integer(kind, dialect)
    if isinstance(kind, types.Float):
        return Double()
    if isinstance(kind, types.Numeric):
        if kind.precision is not None:
            return Numeric(kind.precision, kind.scale)
        return Numeric().with_variant(mysql.NUMERIC(65, 30), "mysql", "mariadb")
    if isinstance(kind, types.DateTime):
        aware = DateTime(timezone=bool(kind.timezone))
        return aware.with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    if isinstance(kind, types.Time) and not getattr(kind, "timezone", False):
        return Time().with_variant(mysql.TIME(fsp=6), "mysql", "mariadb")
    if isinstance(kind, types.Date):
        return Date()
    if isinstance(kind, types.Uuid):
        return Uuid()
    if isinstance(kind, types.JSON):
        return JSON()
    if isinstance(kind, types._Binary):
        return LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
    if isinstance(kind, types.String | types.NullType):
        length = getattr(kind, "length", None)
        if length is not None and not isinstance(kind, types.Text | mysql.TEXT):
            return String(length)
        wide = mysql.VARCHAR(in_key) if in_key else mysql.LONGTEXT()
        return Text().with_variant(wide, "mysql", "mariadb")
    return None


def _integer(kind: Any, dialect: str) -> Any:
    if dialect == "sqlite" or isinstance(kind, types.BigInteger):
        unsigned = bool(getattr(kind, "unsigned", False))
        return Numeric(20, 0) if unsigned else _Big
    if getattr(kind, "unsigned", False):
        return _Big
    return SmallInteger() if isinstance(kind, types.SmallInteger) else Integer()


def _default(said: str, kind: Any) -> Any:
    """Return a default as each database takes it; None for one that is more than a plain value."""
    while said.startswith("(") and said.endswith(")"):
        said = said[1:-1]
    quoted = _QUOTED.fullmatch(said)
    if isinstance(kind, Boolean):
        plain = (quoted.group(1) if quoted else said).lower()
        return {"0": false(), "false": false(), "1": true(), "true": true()}.get(plain)
    if quoted:
        return text("'" + quoted.group(1).replace(":", "\\:") + "'") if "\\" not in said else None
    if _NUMBER.fullmatch(said):
        return text(said)
    if _NOW.fullmatch(said) and isinstance(kind, DateTime):
        return text("CURRENT_TIMESTAMP")
    return None
