"""The two ways to a server: a program that is started, and HTTP. The SDK is imported here, when it is needed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from core.contracts.errors import ConfigurationError
from plugins.mcp.config import ServerConfig
from plugins.mcp.foreign_text import LONGEST_REASON, one_line

HTTP_GRACE_S = 30.0
_UNDER_PARENT = Path(__file__).with_name("under_parent.py")


def sdk() -> Any:
    """Return the module of the MCP SDK; raises ConfigurationError where it is not installed."""
    try:
        import mcp
    except ImportError as error:
        raise ConfigurationError(
            "The MCP SDK is not installed.", cure="pip install 'rekku[mcp]', or pip install 'mcp>=2.3,<3'."
        ) from error
    return mcp


def transport(config: ServerConfig, *, said: Callable[[str], None], ended: Callable[[], None]) -> Any:
    """Return the SDK's transport to a server.

    said: told of each line that a program writes to its stderr. ended: told when its stdout ends.
    """
    return _program(config, said, ended) if config.command else _http(config)


@asynccontextmanager
async def _program(
    config: ServerConfig, said: Callable[[str], None], ended: Callable[[], None]
) -> AsyncIterator[tuple[Any, Any]]:
    from mcp.client.stdio import StdioServerParameters, stdio_client

    # By way of a small program of ours, so that a server does not outlive a kill of this process.
    through = ["-I", "-S", str(_UNDER_PARENT), str(os.getpid()), config.command, *config.args]
    parameters = StdioServerParameters(
        command=sys.executable, args=through, env=config.env, cwd=config.cwd or None, encoding_error_handler="replace"
    )
    async with _lines_of(said) as errlog, stdio_client(parameters, errlog=errlog) as (read, write):
        yield _Watched(read, ended), write


@asynccontextmanager
async def _lines_of(said: Callable[[str], None]) -> AsyncIterator[Any]:
    """Give a file whose lines are told of as they are written, and bounded."""
    reading, writing = os.pipe()
    reader = asyncio.StreamReader(limit=1 << 16)
    wire, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
    )

    async def tell() -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                continue  # longer than anybody reads
            if not line:
                return
            if text := one_line(line.decode("utf-8", "replace"), LONGEST_REASON):
                said(text)

    telling = asyncio.create_task(tell(), name="stderr of an MCP server")
    try:
        with os.fdopen(writing, "w") as errlog:
            yield errlog
    finally:
        telling.cancel()
        wire.close()
        await asyncio.wait({telling})


class _Watched:
    """The read stream of a program; tells when it has come to its end."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def receive(self) -> Any:
        try:
            return await self._stream.receive()
        except Exception:  # whatever ends it, it has ended; the SDK makes of it what it likes
            self._ended()
            raise

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except Exception:  # likewise
            self._ended()
            raise

    async def __aenter__(self) -> _Watched:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def _http(config: ServerConfig) -> AsyncIterator[tuple[Any, Any]]:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    from plugins.mcp.bounded_http import HEADERS, bound

    headers = HEADERS | {name: secret.get_secret_value() for name, secret in config.headers.items()}
    timeout = httpx2.Timeout(HTTP_GRACE_S, read=max(300.0, config.timeout_s + HTTP_GRACE_S))
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, event_hooks={"response": [bound]}) as client,
        streamable_http_client(config.url, http_client=client) as streams,
    ):
        yield streams
