"""What can be seen of a database without changing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text

from core.contracts.json import JsonObject
from core.services import outbox
from core.storage import schema, tables
from core.storage.opening import StoredDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """where: for people. size: bytes, with what is not merged into a file yet. damage: what SQLite's quick_check
    says, or ""; a server looks after its own files.
    """

    where: str
    dialect: str
    size: int
    damage: str
    schema: str
    counts: JsonObject

    @property
    def current(self) -> bool:
        """Whether the schema is this version's."""
        return self.schema == schema.HEAD

    @property
    def usable(self) -> bool:
        """Whether it is sound, and this version can use or upgrade it."""
        return not self.damage and self.schema <= schema.HEAD

    def as_json(self) -> JsonObject:
        """Return it for people and programs."""
        return {
            "database": self.where,
            "kind": self.dialect,
            "bytes": self.size,
            "check": self.damage or "ok",
            "schema": self.schema,
            "schema_of_this_version": schema.HEAD,
            **self.counts,
        }


async def database_state(database: StoredDatabase) -> DatabaseState:
    """Look at a database that was opened for reading, also one that is in use; raises StorageError."""
    damage = await database.read(_damage)
    revision = "" if damage else await database.read(schema.revision)
    return DatabaseState(
        where=database.where,
        dialect=database.dialect,
        size=await database.read(_size) if not damage else 0,
        damage=damage,
        schema=revision,
        counts=await database.read(_counts) if revision == schema.HEAD else {},
    )


_SIZES = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
    "mariadb": "SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables "
    "WHERE table_schema = database()",
}


def _size(conn: Any) -> int:
    return int(conn.execute(text(_SIZES[conn.dialect.name])).scalar())


def _damage(conn: Any) -> str:
    if conn.dialect.name != "sqlite":
        return ""
    found = [row[0] for row in conn.execute(text("PRAGMA quick_check(5)"))]
    return "" if found == ["ok"] else "; ".join(map(str, found))


def _counts(conn: Any) -> JsonObject:
    open_inputs = select(func.count()).select_from(tables.inbox).where(tables.inbox.c.state != "done")
    waiting = select(func.count()).select_from(tables.approvals).where(tables.approvals.c.state == "waiting")
    letters = outbox.counts(conn)
    return {
        "open_inputs": conn.execute(open_inputs).scalar(),
        "turns": conn.execute(select(func.count()).select_from(tables.turns)).scalar(),
        "undelivered": letters.get("waiting", 0) + letters.get("sending", 0),
        "dead_letters": letters.get("dead", 0),
        "approvals_waiting": conn.execute(waiting).scalar(),
    }
