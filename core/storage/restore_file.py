"""Putting a backup in the place of a SQLite file, in one step, with what was there kept beside."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import quote

from core.storage.backup_file import (
    NoBackup,
    check_sqlite,
    free_name,
    put_in_place,
    remove_leftovers,
    remove_partial,
    usable_revision,
)
from core.storage.database_use import refuse_rows

FORCE = "Say --force to replace what is there; it is kept beside."


def restore_file(path: Path, backup: Path, stamp: str, *, force: bool) -> tuple[str, Path | None]:
    """Put a backup in the place of a file that nobody uses; return its revision and where the old file is kept.

    stamp: what the name of the old file ends in. force: whether one with rows, or one that cannot be read, may be
    replaced. Raises NoBackup, and StorageError when the backup is damaged or of a newer version.
    """
    if path.exists() and backup.samefile(path):
        raise NoBackup(f"{backup} is the database itself.", cure="Name another file.")
    if not force and path.exists():
        refuse_rows(_tables_with_rows(path), str(path), FORCE)
    remove_leftovers(path.parent, re.escape(path.name))
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _copy(backup, partial)
        found = usable_revision(check_sqlite(partial), backup)
        kept = _set_aside(path, free_name(path.with_name(f"{path.name}.{stamp}")))
        put_in_place(partial, path)
    except OSError as error:
        raise NoBackup(f"The backup was not restored: {path} cannot be written ({error.strerror}).") from error
    finally:
        remove_partial(partial)
    return found, kept


def _copy(source: Path, target: Path) -> None:
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with source.open("rb") as file, os.fdopen(descriptor, "wb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)


def _tables_with_rows(path: Path) -> list[str]:
    if not path.stat().st_size:
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as conn:
            names = [row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return [
                name
                for name in names
                if name != "alembic_version"
                and conn.execute('SELECT 1 FROM "{}" LIMIT 1'.format(name.replace('"', '""'))).fetchone()
            ]
    except sqlite3.Error:
        return ["a file that cannot be read"]


def _set_aside(path: Path, kept: Path) -> Path | None:
    """Give a database that is there another name besides, with what is not merged into its file yet."""
    if not path.exists():
        for end in ("-wal", "-shm"):  # of a file that is gone: they would be taken for those of the new one
            path.with_name(path.name + end).unlink(missing_ok=True)
        return None
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA journal_mode=DELETE")  # merges the log, so that one file holds everything
    for end in ("", "-wal"):
        part = path.with_name(path.name + end)
        if part.exists():
            _link(part, kept.with_name(kept.name + end))
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    return kept


def _link(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # a file system without links
        shutil.copy2(path, name)
