"""The servers' own programs for whole databases: found, given only what they need, and heard when they fail.

A password is on no command line and on no disk: PostgreSQL's programs get it in their environment, MariaDB's in a
file in memory that they inherit. A program ends with us, however we end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from sqlalchemy import URL

from core.contracts.errors import StorageError
from core.storage.tied_program import tied

PACKAGES = {"mariadb": "mariadb-client", "postgresql": "postgresql-client"}
"""Of Debian."""

DUMP = {"mariadb": ("mariadb-dump", "mysqldump"), "postgresql": ("pg_dump",)}
LOAD = {"mariadb": ("mariadb", "mysql"), "postgresql": ("pg_restore",)}
LONGEST_COMPLAINT = 2000
KILLED_WITHIN_S = 5.0

_PASSED_ON = ("PATH", "HOME", "TMPDIR", "TZ")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_OLDER = re.compile(r"server version: (\S+).*?version: (\S+)", re.DOTALL)
_DEBIAN = Path("/usr/lib/postgresql")
_WRAPPER = "pg_wrapper"


def find_tool(dialect: str, names: Sequence[str]) -> str:
    """Return the path of a program; raises StorageError that names the package it is in."""
    for name in names:
        found = shutil.which(name)
        # Debian's wrapper asks for a version that suits a server of this machine; the newest suits every one.
        newest = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: path.parts[-3].zfill(4))
        if newest and (found is None or Path(found).resolve().name == _WRAPPER):
            return str(newest[-1])
        if found is not None:
            return found
    raise StorageError(
        f"{names[0]} is not installed, which is needed for backups of {dialect}.",
        cure=f"Install it: apt install {PACKAGES[dialect]}",
    )


def absolute(path: Path) -> str:
    """Return a path for a command line: one that begins with a dash would be taken for an option."""
    return str(path.absolute())


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a program reaches a database. options: what stands first on its command line. inherited: descriptors."""

    database: str
    options: tuple[str, ...] = ()
    inherited: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@contextlib.contextmanager
def access(url: URL, dialect: str) -> Iterator[Access]:
    """Prepare what a program needs to reach a database, and take it away at the end."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"LC_ALL": "C.UTF-8"}
    password = url.password if url.password is not None else ""
    secrets = tuple({password, unquote(password)} - {""})
    name = url.database or ""
    if dialect == "postgresql":
        environment |= {"PGHOST": url.host or "localhost", "PGPORT": str(url.port or 5432), "PGDATABASE": name}
        environment |= {"PGUSER": url.username} if url.username else {}
        environment |= {"PGPASSWORD": password} if password else {}
        mode = url.query.get("ssl", url.query.get("sslmode"))
        environment |= {"PGSSLMODE": mode} if isinstance(mode, str) and mode in _SSL_MODES else {}
        yield Access(database=name, environment=environment, secrets=secrets)
        return
    lines = ["[client]", f"host={_quoted(url.host or 'localhost')}", f"port={url.port or 3306}", "protocol=tcp"]
    lines += [f"user={_quoted(url.username)}"] if url.username else []
    lines += [f"password={_quoted(password)}"] if password else []
    # As the driver does: encrypted where the server offers it. Programs that do not know the option pass it over.
    lines += ["default-character-set=utf8mb4", "loose-disable-ssl-verify-server-cert"]
    with _in_memory("\n".join((*lines, ""))) as descriptor:
        option = f"--defaults-file=/dev/fd/{descriptor}"
        yield Access(
            database=name, options=(option,), inherited=(descriptor,), environment=environment, secrets=secrets
        )


@contextlib.contextmanager
def _in_memory(content: str) -> Iterator[int]:
    """Yield the descriptor of a file without a name, which is gone with the last process that has it open."""
    if sys.platform == "linux":
        file: IO[bytes] = os.fdopen(os.memfd_create("rekku"), "w+b")
        os.fchmod(file.fileno(), 0o600)  # MariaDB's programs read no options that others could have written
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 -- closed below
    with file:
        file.write(content.encode())
        file.seek(0)  # writes it too
        yield file.fileno()


def _quoted(value: str) -> str:
    """Return a value for an option file: the outer quotes go, and in it just backslashes mean something."""
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f'"{escaped}"'


async def run_tool(
    command: Sequence[str],
    given: Access,
    *,
    dialect: str,
    what: str,
    stdout: IO[bytes] | int = asyncio.subprocess.DEVNULL,
    feed: AsyncIterator[bytes] | None = None,
) -> None:
    """Run a program to its end; raises StorageError with what it says when it fails. Cancelling ends it.

    what: what it is for, at the beginning of a sentence. feed: what it reads.
    """
    process = await asyncio.create_subprocess_exec(
        *tied(command),
        stdin=asyncio.subprocess.PIPE if feed is not None else asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        env=dict(given.environment),
        pass_fds=given.inherited,
    )
    try:
        complaint, _ = await asyncio.gather(_complaint(process), _feed(process, feed))
        status = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), KILLED_WITHIN_S)
    if status:
        raise _failed(command[0], complaint, given, dialect, what)


async def _complaint(process: asyncio.subprocess.Process) -> str:
    """Return the end of what a program has written to stderr, however much that is."""
    assert process.stderr is not None
    kept = b""
    while chunk := await process.stderr.read(65536):
        kept = (kept + chunk)[-LONGEST_COMPLAINT:]
    return kept.decode("utf-8", "replace").strip()


async def _feed(process: asyncio.subprocess.Process, feed: AsyncIterator[bytes] | None) -> None:
    if feed is None:
        return
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its status and stderr say why
        async for chunk in feed:
            process.stdin.write(chunk)
            await process.stdin.drain()
    process.stdin.close()


def _failed(program: str, complaint: str, given: Access, dialect: str, what: str) -> StorageError:
    for secret in given.secrets:
        complaint = complaint.replace(secret, "[password]")
    name = Path(program).name
    older = _OLDER.search(complaint) if "version mismatch" in complaint else None
    if older:
        major = older.group(1).partition(".")[0]
        return StorageError(
            f"{what}: {name} {older.group(2)} is older than the server, which is {older.group(1)}.",
            cure=f"Install that of the server: apt install {PACKAGES[dialect]}-{major}",
        )
    said = " ".join(complaint.split()) or "it does not say why"
    return StorageError(f"{what}: {name} failed: {said}", cure="See `rekku doctor`.")
