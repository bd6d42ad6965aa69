"""Which database the settings name."""

from __future__ import annotations

from typing import Protocol

from core.contracts.services import Database
from core.settings import Settings
from core.storage.schema import Upgradable
from core.storage.sqlite import SqliteDatabase


class StoredDatabase(Database, Upgradable, Protocol):
    """A database of any kind. where: what a person may read of its place, without a password."""

    dialect: str

    @property
    def where(self) -> str: ...

    async def start(self) -> None:
        """Open it; raises StorageUnavailable when it is away, and StorageError that says what to do."""

    async def stop(self) -> None:
        """Finish what runs, and close."""


def database_of(settings: Settings, *, read_only: bool = False) -> StoredDatabase:
    """Return the database of the settings, not started yet."""
    server = settings.database_server
    if server is None:
        return SqliteDatabase(settings.database_path, read_only=read_only)
    from core.storage.server import ServerDatabase  # with the async layer: 40 ms and some megabytes

    return ServerDatabase(server.get_secret_value(), read_only=read_only)
