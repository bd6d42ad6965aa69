"""What can be seen of a database without changing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text

from core.contracts.json import JsonObject
from core.services import outbox
from core.storage import schema, tables
from core.storage.sqlite import SqliteDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """size: bytes, with what is not merged into the file yet. damage: what SQLite's quick_check says, or ""."""

    path: Path
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
            "path": str(self.path),
            "bytes": self.size,
            "check": self.damage or "ok",
            "schema": self.schema,
            "schema_of_this_version": schema.HEAD,
            **self.counts,
        }


async def database_state(path: Path) -> DatabaseState:
    """Look at a database file, also one that is in use; raises StorageError when it cannot be opened."""
    database = SqliteDatabase(path, read_only=True)
    await database.start()
    try:
        damage = await database.read(_damage)
        revision = "" if damage else await database.read(schema.revision)
        counts = await database.read(_counts) if revision == schema.HEAD else {}
    finally:
        await database.stop()
    files = (path, path.with_name(f"{path.name}-wal"))
    size = sum(file.stat().st_size for file in files if file.exists())
    return DatabaseState(path=path, size=size, damage=damage, schema=revision, counts=counts)


def _damage(conn: Any) -> str:
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
