"""Which kind of database server listens on a port, for who asked the wrong one and waits for an answer."""

from __future__ import annotations

import asyncio
import contextlib

from sqlalchemy import URL

from core.contracts.errors import StorageError
from core.storage.server_url import default_port

LONGEST_S = 2.0
SPEAKS_FIRST_S = 1.0
# https://www.postgresql.org/docs/current/protocol-message-formats.html: SSLRequest, answered by one byte.
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
_ANSWERS = (b"S", b"N")
# https://mariadb.com/kb/en/connection/#initial-handshake-packet: its length in three bytes, its number, the protocol.
_HANDSHAKE = (0, 10)


async def refuse_other(url: URL, error: Exception, where: str) -> None:
    """Raise StorageError when a server of the other kind listens there, which `error` could not tell."""
    wanted = url.get_backend_name()
    found = await what_listens(url.host or "localhost", url.port or default_port(url))
    if found and found != wanted:
        raise StorageError(
            f"The server at {where} is {found}, and not {wanted}.",
            cure=f"Let DATABASE_URL begin with {found}://, or name the port of {wanted}.",
        ) from error


async def what_listens(host: str, port: int) -> str:
    """Return "mariadb", "postgresql", or "" for what is neither or cannot be reached within 2 seconds."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LONGEST_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return await _told(reader, writer)
            finally:
                writer.close()
    return ""


async def _told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SPEAKS_FIRST_S):
            greeting = await reader.read(64)
            return "mariadb" if tuple(greeting[3:5]) == _HANDSHAKE else ""
    writer.write(_SSL_REQUEST)
    return "postgresql" if await reader.read(64) in _ANSWERS else ""
