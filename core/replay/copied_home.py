"""A home that is thrown away: its own directory, a copy of the database, and nothing that waits to be done in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import delete

from core.settings import Settings
from core.storage import schema
from core.storage.backup import back_up_file
from core.storage.sqlite import SqliteDatabase
from core.storage.tables import inbox, outbox

DATABASE = "rekku.db"


def moved(settings: Settings, home: Path, **changed: Any) -> Settings:
    """Return the settings for another home with a SQLite file, which has the plugins of the old one as well."""
    own = settings.home / "plugins"
    path = (*settings.plugin_path, *([own] if settings.home != home and own.is_dir() else []))
    return settings.model_copy(
        update={"home": home, "plugin_path": path, "database_url": None, "db_host": None, **changed}
    )


async def copy_database(settings: Settings, home: Path) -> bool:
    """Copy what a SQLite file holds right now to `home`; False where there is none, as with a server."""
    if settings.database_server is not None or not settings.database_path.exists():
        return False
    await back_up_file(settings.database_path, home / DATABASE, replace=False)
    return True


async def open_copy(home: Path) -> SqliteDatabase:
    """Start the database of a home, its schema brought up, with nothing left to do in it."""
    database = SqliteDatabase(home / DATABASE)
    await database.start()
    await schema.upgrade(database)
    await database.transact(_leave_nothing_to_do)
    return database


def _leave_nothing_to_do(conn: Any) -> None:
    conn.execute(delete(inbox).where(inbox.c.state != "done"))
    conn.execute(delete(outbox).where(outbox.c.state != "sent"))
