"""The database for a command: read beside a running process, or written to in one short transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from core.commands.exit_status import CommandFailed
from core.commands.home_use import process_using
from core.commands.startup import mask_of
from core.contracts.inputs import Role
from core.services import roles
from core.storage import schema
from core.storage.sqlite import SqliteDatabase

if TYPE_CHECKING:
    from core.settings import Settings

T = TypeVar("T")


def read_stored(settings: Settings, fn: Callable[[Any], T]) -> T:
    """Return what `fn(conn)` reads, as JSON values without secrets; see `stored`."""

    async def read() -> T:
        async with stored(settings) as database:
            return await database.read(fn)

    value: T = mask_of(settings).value(asyncio.run(read()))
    return value


def stored_roles(settings: Settings) -> dict[str, Role]:
    """Return the role of every principal that was let in or blocked; of none where nothing was ever started."""
    if not settings.database_path.exists():
        return {}
    return {who: Role(role) for who, role in read_stored(settings, roles.everyone).items()}


def write_stored(settings: Settings, fn: Callable[[Any], T]) -> T:
    """Return what `fn(conn)` returns, once what it wrote is committed; see `stored`."""

    async def write() -> T:
        async with stored(settings, write=True) as database:
            return await database.transact(fn)

    return asyncio.run(write())


@asynccontextmanager
async def stored(settings: Settings, *, write: bool = False) -> AsyncIterator[SqliteDatabase]:
    """Open the database of the settings, without a process of its own having to be stopped.

    Raises CommandFailed when there is none, or its schema is another version's.
    """
    require_database(settings)
    database = SqliteDatabase(settings.database_path, read_only=not write)
    await database.start()
    try:
        found = await database.read(schema.revision)
        if found != schema.HEAD:
            raise _other_schema(settings, found)
        yield database
    finally:
        await database.stop()


def require_database(settings: Settings) -> None:
    """Raise CommandFailed unless the database's file is there."""
    if not settings.database_path.exists():
        raise CommandFailed(
            f"There is no database at {settings.database_path}.",
            cure="The first start creates it: `rekku chat`. If it should be elsewhere, set REKKU_HOME.",
        )


def when_taken_up(settings: Settings) -> str:
    """Return when what was just written is noticed: by the process that runs, or at the next start."""
    holder = process_using(settings.home)
    return f"Process {holder} takes this up within 5 seconds." if holder else "The next start takes this up."


def told_time(at_ms: int, timezone: str) -> str:
    """Return an instant (UTC milliseconds; 0 is none) in the installation's time zone."""
    if not at_ms:
        return "-"
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M:%S")


def _other_schema(settings: Settings, found: str) -> CommandFailed:
    path = settings.database_path
    if not found:
        return CommandFailed(f"{path} holds no tables of Rekku.", cure="The next start creates them: `rekku chat`.")
    if found < schema.HEAD:
        return CommandFailed(
            f"{path} has schema {found}, this version needs {schema.HEAD}.", cure="Run `rekku db upgrade`."
        )
    return CommandFailed(
        f"{path} has schema {found}, this version knows up to {schema.HEAD}.", cure="Install the newer version again."
    )
