"""The wire to a client over two pipes, one JSON-RPC message a line. Unlike the SDK's, it can be stopped from here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

LONGEST_LINE = 4 * 1024 * 1024


@asynccontextmanager
async def stdio_streams(read_fd: int, write_fd: int) -> AsyncIterator[tuple[Any, Any]]:
    """Give the streams that a server of the SDK runs on; the descriptors are closed at the end."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp.types import jsonrpc_message_adapter

    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    incoming, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_fd, "rb", 0)
    )
    to_server, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, from_server = anyio.create_memory_object_stream[SessionMessage](0)

    async def take_in() -> None:
        async with to_server:
            while line := await reader.readline():
                try:
                    message: Any = SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
                except ValueError as error:
                    message = error
                await to_server.send(message)

    async def put_out() -> None:
        async with from_server:
            async for message in from_server:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await asyncio.to_thread(_write_whole, write_fd, text.encode() + b"\n")

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(take_in)
            group.start_soon(put_out)
            yield read, write
            group.cancel_scope.cancel()
    finally:
        incoming.close()
        os.close(write_fd)


def _write_whole(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
