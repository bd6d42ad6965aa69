"""Files that hold a whole database: what kind they are, whether they are whole, and how they get their place."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import re
import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from core.contracts.errors import StorageError
from core.storage import schema

ENDINGS = {"sqlite": ".db", "mariadb": ".sql", "postgresql": ".dump"}
"""By the kind of database."""

_SQLITE = b"SQLite format 3\x00"
_POSTGRESQL = b"PGDMP"
_MARIADB = re.compile(rb"(?:/\*M?!999999\\- enable the sandbox mode \*/ ?\r?\n)?-- (?:MariaDB|MySQL) dump ")
_LAST_LINE = b"-- Dump completed"
_SECTION = b"-- Table structure for table `"
_VERSION = re.compile(rb"INSERT INTO `alembic_version`[^;]*?VALUES\s*\('([^']*)'\)")
BLOCK = 1 << 18


class NoBackup(StorageError):
    """A backup that cannot be written where it should be, or a file that is none: nothing was changed."""


def kind_of(path: Path) -> str:
    """Return which database a file is a backup of; raises NoBackup when it is none."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise NoBackup(f"{path} cannot be read ({error.strerror}).") from error
    if head.startswith(_SQLITE):
        return "sqlite"
    if head.startswith(_POSTGRESQL):
        return "postgresql"
    if _MARIADB.match(head):
        return "mariadb"
    raise NoBackup(
        f"{path} is no backup of a database of Rekku.",
        cure="What `rekku db backup` has written can be restored; unpack it first if it is packed.",
    )


def check_sqlite(path: Path) -> str:
    """Return the revision of a SQLite file that nobody uses; raises StorageError when it is damaged."""
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as copy:
            # One file without others beside it: a backup is moved and kept on read-only media.
            copy.execute("PRAGMA journal_mode=DELETE")
            found = [row[0] for row in copy.execute("PRAGMA quick_check(5)")]
            tables = copy.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            row = copy.execute("SELECT version_num FROM alembic_version").fetchone() if tables[0] else None
    except sqlite3.DatabaseError as error:
        found, row = [str(error)], None
    if found != ["ok"]:
        raise StorageError(
            f"The copy is damaged, as the database may be: {'; '.join(map(str, found))}.",
            cure="See `rekku doctor`; restore an earlier backup.",
        )
    return str(row[0]) if row else ""


def check_mariadb(path: Path) -> str:
    """Return the revision in a dump of MariaDB; raises StorageError when the dump does not come to its end."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(file.tell() - 4096, 0))
        tail = file.read().rstrip().splitlines()
        if not tail or not tail[-1].startswith(_LAST_LINE):
            raise StorageError(f"{path} ends in the middle: its last line is missing.", cure="Take another backup.")
        file.seek(0)
        section = b""
        for line in file:
            if line.startswith(_SECTION) and section:
                break
            if section or line.startswith(_SECTION + b"alembic_version`"):
                section += line
    found = _VERSION.search(section)
    return found.group(1).decode() if found else ""


def without_version(path: Path) -> Iterator[bytes]:
    """Yield a dump of MariaDB in blocks, without the table that tells the schema's revision."""
    block = bytearray()
    with path.open("rb") as file:
        skipped = False
        for line in file:
            if line.startswith(_SECTION):
                skipped = line.startswith(_SECTION + b"alembic_version`")
            elif skipped and line.startswith(b"/*!40103 SET TIME_ZONE"):
                skipped = False  # it was the last table
            if not skipped:
                block += line
            if len(block) >= BLOCK:
                yield bytes(block)
                block.clear()
    yield bytes(block)


def usable_revision(found: str, backup: Path) -> str:
    """Return a revision that this version can use; raises StorageError for another one."""
    if not found:
        raise NoBackup(f"{backup} holds no tables of Rekku.", cure="Name a file that `rekku db backup` has written.")
    if found in (schema.UNFINISHED_COPY, schema.UNFINISHED_RESTORE):
        raise NoBackup(f"{backup} was made of a database that was not whole.", cure="Name another one.")
    if found > schema.HEAD:
        raise StorageError(
            f"{backup} has schema {found}, this version of Rekku knows up to {schema.HEAD}.",
            cure="Install the version that has written it.",
        )
    return found


@contextlib.asynccontextmanager
async def written_whole(target: Path) -> AsyncIterator[Path]:
    """Let a file be written beside `target`, for its owner alone, that takes its place when the block has ended well.

    Raises NoBackup when it cannot be written. Whatever ends the block, nothing half is left; what a process has left
    that was killed is removed by the next one that writes the same file.
    """
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    descriptor = None
    try:
        await asyncio.to_thread(remove_leftovers, target.parent, re.escape(target.name))
        descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as long as it is held, it is no leftover
        yield partial
        await asyncio.to_thread(put_in_place, partial, target)  # a large file takes its time to reach the disk
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NoBackup(f"The backup {target} cannot be written ({reason}).") from error
    finally:
        if descriptor is not None:
            os.close(descriptor)
        await asyncio.to_thread(remove_partial, partial)


def remove_leftovers(directory: Path, name: str) -> None:
    """Remove what was being written when its process was killed. name: of the file it was for, as a pattern."""
    pattern = re.compile(rf"\.{name}\.[0-9a-f]{{8}}")
    try:
        found = [path for path in directory.iterdir() if pattern.fullmatch(path.name)]
    except OSError:
        return  # what is wrong with the directory is told by whoever writes there
    for partial in found:
        with contextlib.suppress(OSError):  # another process writes it, or it is gone, or not ours to open
            descriptor = os.open(partial, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_partial(partial)
            finally:
                os.close(descriptor)


def remove_partial(partial: Path) -> None:
    """Remove what was being written, with what SQLite has put beside it."""
    for end in ("", "-journal", "-wal", "-shm"):
        partial.with_name(partial.name + end).unlink(missing_ok=True)


def free_name(path: Path) -> Path:
    """Return a path, or one like it that is not there yet."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, 1000))
    return next((each for each in itertools.chain((path,), numbered) if not each.exists()), path)


def put_in_place(partial: Path, target: Path) -> None:
    """Let a file take the name of another, safe against a power cut."""
    with partial.open("rb") as copy:
        os.fsync(copy.fileno())
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
