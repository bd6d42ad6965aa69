"""Who uses a database, and whether it holds anything: what is asked before one is read or replaced as a whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, literal_column, select, table, text

from core.contracts.errors import HomeInUse, StorageError
from core.counted import counted
from core.settings import Settings
from core.storage.home_lock import HomeLock
from core.storage.opening import StoredDatabase

LOOKS = 10
BETWEEN_LOOKS_S = 0.3
"""A connection that was closed may still be seen for a moment."""

_OTHERS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND usename = current_user AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() "
    "AND user = SUBSTRING_INDEX(USER(), '@', 1) AND id <> CONNECTION_ID() AND command <> 'Killed'",
}


async def refuse_served(database: StoredDatabase) -> None:
    """Raise HomeInUse when somebody else is connected to a server's database as the same user, as Rekku is.

    To be asked while this process has one connection there at most. Who uses a file is told by `homes_locked`.
    """
    statement = _OTHERS.get(database.dialect)
    if statement is None:
        return
    others = 0
    for _ in range(LOOKS):
        others = await database.read(lambda conn: int(conn.execute(text(statement)).scalar()))
        if not others:
            return
        await asyncio.sleep(BETWEEN_LOOKS_S)
    raise HomeInUse(
        f"{database.where} is in use: {counted(others, 'more connection')} of the same user.",
        cure="Stop every process of Rekku that works on it, and whoever else is connected as this user.",
    )


@contextlib.contextmanager
def homes_locked(own: Settings, *of: Settings) -> Iterator[None]:
    """Hold the homes of SQLite databases; raises HomeInUse when a process uses one of them.

    own: the settings of this home. A file elsewhere may be that of another home, which has a lock then.
    """
    homes: set[Path] = set()
    for settings in (each for each in of if each.database_server is None):
        path = settings.database_path.resolve()
        if own.database_server is None and path == own.database_path.resolve():
            homes.add(own.home.resolve())
        if (path.parent / "lock").exists():
            homes.add(path.parent)
    with contextlib.ExitStack() as stack:
        for home in sorted(homes):
            lock = HomeLock(home)
            lock.take()
            stack.callback(lock.release)
        yield


def tables_with_rows(conn: Any, among: Collection[str] | None = None) -> list[str]:
    """Return the names of the tables that have rows, but for the one with the schema's revision."""
    there = set(inspect(conn).get_table_names()) - {"alembic_version"}
    looked_at = there if among is None else there & set(among)
    return [
        name
        for name in sorted(looked_at)
        if conn.execute(select(literal_column("1")).select_from(table(name)).limit(1)).first() is not None
    ]


def refuse_rows(names: Collection[str], where: str, cure: str) -> None:
    """Raise StorageError when there are names of tables with rows."""
    if names:
        shown = ", ".join(list(names)[:3]) + (" …" if len(names) > 3 else "")
        raise StorageError(f"{where} is not empty: there are rows in {shown}.", cure=cure)
