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
from core.contracts.errors import StorageError
from core.contracts.inputs import Role
from core.services import plugin_wishes, roles
from core.services.plugin_wishes import Wish
from core.storage import schema
from core.storage.opening import StoredDatabase, database_of

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

    async def read() -> dict[str, Role]:
        if not may_exist(settings):
            return {}
        async with opened(settings) as database:
            found = await database.read(schema.revision)
            return await database.read(roles.everyone) if found == schema.HEAD else {}

    return {who: Role(role) for who, role in mask_of(settings).value(asyncio.run(read())).items()}


def stored_wishes(settings: Settings) -> dict[str, Wish]:
    """Return what is wanted of single plugins; nothing where there is no database that can be read."""

    async def read() -> dict[str, Wish]:
        if not may_exist(settings):
            return {}
        try:
            async with opened(settings) as database:
                found = await database.read(schema.revision)
                return await database.read(plugin_wishes.everyone) if found == schema.HEAD else {}
        except StorageError:
            return {}  # whoever wants to know of the database asks about that

    return asyncio.run(read())


def write_stored(settings: Settings, fn: Callable[[Any], T]) -> T:
    """Return what `fn(conn)` returns, once what it wrote is committed; see `stored`."""

    async def write() -> T:
        async with stored(settings, write=True) as database:
            return await database.transact(fn)

    return asyncio.run(write())


@asynccontextmanager
async def stored(settings: Settings, *, write: bool = False) -> AsyncIterator[StoredDatabase]:
    """Open the database of the settings, without a process of its own having to be stopped.

    Raises CommandFailed when there is none, or its schema is another version's.
    """
    require_database(settings)
    async with opened(settings, write=write) as database:
        await require_current(database)
        yield database


async def require_current(database: StoredDatabase) -> None:
    """Raise CommandFailed unless the schema of an open database is this version's."""
    found = await database.read(schema.revision)
    if found != schema.HEAD:
        raise _other_schema(database, found)


@asynccontextmanager
async def opened(settings: Settings, *, write: bool = False) -> AsyncIterator[StoredDatabase]:
    """Open the database of the settings, whatever is in it."""
    database = database_of(settings, read_only=not write)
    await database.start()
    try:
        yield database
    finally:
        await database.stop()


def may_exist(settings: Settings) -> bool:
    """Whether there may be a database: a file can be looked for, a server has to be asked."""
    return settings.database_server is not None or settings.database_path.exists()


def require_database(settings: Settings) -> None:
    """Raise CommandFailed unless there may be a database."""
    if not may_exist(settings):
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


def _other_schema(database: StoredDatabase, found: str) -> CommandFailed:
    path = database.where
    if not found:
        return CommandFailed(f"{path} holds no tables of Rekku.", cure="The next start creates them: `rekku chat`.")
    if found < schema.HEAD:
        return CommandFailed(
            f"{path} has schema {found}, this version needs {schema.HEAD}.", cure="Run `rekku db upgrade`."
        )
    refusal = schema.refusal(found)
    return CommandFailed(f"{path}: {refusal}", cure=refusal.cure)
