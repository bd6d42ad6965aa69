"""A checked copy of a database that is in use."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from pathlib import Path

from core.commands.exit_status import CommandFailed
from core.contracts.errors import StorageError
from core.storage.sqlite import SqliteDatabase


async def back_up(source: Path, target: Path, *, replace: bool) -> None:
    """Write a copy of `source` to `target`: whole and checked, or not at all.

    replace: whether a file that is there may be replaced. Raises CommandFailed when it may not, or when the copy
    cannot be written or is not sound; StorageError when the source cannot be read.
    """
    _check_target(source, target, replace=replace)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        await _copy(source, partial)
        _check_copy(partial)
        _check_target(source, target, replace=replace)  # once more: copying takes a while
        _put_in_place(partial, target)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CommandFailed(f"The backup {target} cannot be written ({reason}).") from error
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            partial.with_name(partial.name + end).unlink(missing_ok=True)


def _check_target(source: Path, target: Path, *, replace: bool) -> None:
    if not target.name or not target.parent.is_dir():
        raise CommandFailed(f"There is no directory {target.parent}.", cure="Create it, or name another path.")
    if target.is_dir():
        raise CommandFailed(f"{target} is a directory.", cure="Name a file in it.")
    in_use = [source.with_name(source.name + end) for end in ("", "-wal", "-shm")]
    if any(target.exists() and file.exists() and target.samefile(file) for file in in_use):
        raise CommandFailed(f"{target} is the database itself.", cure="Name another path.")
    if target.exists() and not replace:
        raise CommandFailed(f"{target} is there already.", cure="Name another path, or say --force.")


async def _copy(source: Path, partial: Path) -> None:
    database = SqliteDatabase(source, read_only=True)
    await database.start()
    try:
        await database.backup(partial)
    finally:
        await database.stop()


def _check_copy(partial: Path) -> None:
    with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as copy:
        # One file without others beside it: a backup is moved and kept on read-only media.
        copy.execute("PRAGMA journal_mode=DELETE")
        found = [row[0] for row in copy.execute("PRAGMA quick_check(5)")]
    if found != ["ok"]:
        raise StorageError(
            f"The copy is damaged, as the database may be: {'; '.join(map(str, found))}.",
            cure="See `rekku doctor`; restore an earlier backup.",
        )


def _put_in_place(partial: Path, target: Path) -> None:
    with partial.open("rb") as copy:
        os.fsync(copy.fileno())
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
