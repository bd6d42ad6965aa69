"""A checked copy of a database that is in use: SQLite's own way, or a dump by the server's own program."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.settings import Settings
from core.storage.backup_file import NoBackup, check_mariadb, check_sqlite, written_whole
from core.storage.server_tools import DUMP, LOAD, absolute, access, find_tool, run_tool
from core.storage.server_url import server_of
from core.storage.sqlite import SqliteDatabase

_WHAT = "No backup was made"


async def back_up(settings: Settings, target: Path, *, replace: bool) -> None:
    """Write a backup of the database of the settings to `target`: whole and checked, or not at all.

    replace: whether a file that is there may be replaced. Raises NoBackup when it may not, or when the backup cannot
    be written; StorageError when the database cannot be read, its program is missing or the copy is not sound.
    """
    url = server_of(settings)
    if url is None:
        await back_up_file(settings.database_path, target, replace=replace)
        return
    dialect = url.get_backend_name()
    program = find_tool(dialect, DUMP[dialect])
    check = find_tool(dialect, LOAD[dialect]) if dialect == "postgresql" else ""
    _check_target(target, replace=replace)
    async with written_whole(target) as partial:
        with access(url, dialect) as given:
            if dialect == "mariadb":
                options = ("--single-transaction", "--quick", "--hex-blob", "--no-tablespaces", "--skip-lock-tables")
                command = (program, *given.options, *options, "--", given.database)
            else:
                command = (program, "--format=custom", "--no-password", "--no-owner", "--no-privileges")
            with partial.open("wb") as file:
                await run_tool(command, given, dialect=dialect, what=_WHAT, stdout=file)
            if dialect == "mariadb":
                await asyncio.to_thread(check_mariadb, partial)
            else:
                # Into nothing: it reads every table to its end.
                await run_tool((check, "--file=/dev/null", absolute(partial)), given, dialect=dialect, what=_WHAT)
        _check_target(target, replace=replace)  # once more: dumping takes a while


async def back_up_file(source: Path, target: Path, *, replace: bool) -> None:
    """Write a copy of a SQLite file; see `back_up`."""
    in_use = tuple(source.with_name(source.name + end) for end in ("", "-wal", "-shm"))
    _check_target(target, in_use, replace=replace)
    async with written_whole(target) as partial:
        database = SqliteDatabase(source, read_only=True)
        await database.start()
        try:
            await database.backup(partial)
        finally:
            await database.stop()
        await asyncio.to_thread(check_sqlite, partial)
        _check_target(target, in_use, replace=replace)


def _check_target(target: Path, in_use: tuple[Path, ...] = (), *, replace: bool) -> None:
    if not target.name or not target.parent.is_dir():
        raise NoBackup(f"There is no directory {target.parent}.", cure="Create it, or name another path.")
    if target.is_dir():
        raise NoBackup(f"{target} is a directory.", cure="Name a file in it.")
    if any(target.exists() and file.exists() and target.samefile(file) for file in in_use):
        raise NoBackup(f"{target} is the database itself.", cure="Name another path.")
    if target.exists() and not replace:
        raise NoBackup(f"{target} is there already.", cure="Name another path, or say --force.")
