"""The wire to a client over two descriptors, one JSON-RPC message a line.

Unlike the SDK's, it can be stopped from here, answers what is no message, and ends only when all that was read is
answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from interfaces.mcp.lines import LinesIn, LinesOut, LineTooLong

WRITTEN_S = 5.0
"""How long the last answers have to be written, to a client that may read no more."""


@asynccontextmanager
async def stdio_streams(read_fd: int, write_fd: int, *, drain_s: float) -> AsyncIterator[tuple[Any, Any]]:
    """Give the streams that a server of the SDK runs on; the descriptors are closed at the end.

    drain_s: how long what was read has to be answered after the end of input.
    """
    import anyio
    from mcp.shared.message import ServerMessageMetadata, SessionMessage
    from mcp.types import JSONRPCError, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter
    from pydantic import ValidationError

    to_server, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    refusals = write.clone()
    lines, out = LinesIn(read_fd), LinesOut(write_fd)
    open_requests = _OpenRequests()
    reading, written = anyio.CancelScope(), asyncio.Event()

    def understood(line: bytes) -> SessionMessage:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        if not isinstance(message, JSONRPCRequest):
            return SessionMessage(message)
        open_requests.add()
        # One that the client itself has cancelled is not answered.
        return SessionMessage(message, metadata=ServerMessageMetadata(on_request_unanswered=open_requests.settle))

    async def refuse(refusal: JSONRPCError | None) -> None:
        if refusal is None:
            return
        if refusal.id is not None:
            open_requests.add()
        await refusals.send(SessionMessage(refusal))

    async def take_in_all() -> None:
        while True:
            try:
                line = await lines.next()
            except LineTooLong as error:
                await refuse(_too_long(error))
                continue
            if line is None:
                return
            if not line.strip():
                continue
            try:
                message = understood(line)
            except ValidationError as error:
                await refuse(_refusal(line, error))
                continue
            await to_server.send(message)

    async def take_in() -> None:
        async with to_server, refusals:
            with reading:
                await take_in_all()
                # The SDK gives up what it has not answered as soon as it sees the end.
                with anyio.move_on_after(drain_s):
                    await open_requests.all_settled()

    async def put_out() -> None:
        try:
            async for message in from_server:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await out.write(text.encode())
                if isinstance(message.message, JSONRPCResponse | JSONRPCError) and message.message.id is not None:
                    await open_requests.settle()
        except OSError:  # the client is gone
            reading.cancel()
        finally:
            from_server.close()
            written.set()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(take_in)
            group.start_soon(put_out)
            yield read, write
            reading.cancel()
            write.close()
            with anyio.move_on_after(WRITTEN_S):
                await written.wait()
            group.cancel_scope.cancel()
    finally:
        lines.close()
        out.close()


class _OpenRequests:
    """Counts the requests that are not answered yet."""

    def __init__(self) -> None:
        self._open = 0
        self._none = asyncio.Event()
        self._none.set()

    def add(self) -> None:
        self._open += 1
        self._none.clear()

    async def settle(self) -> None:
        self._open = max(0, self._open - 1)
        if not self._open:
            self._none.set()

    async def all_settled(self) -> None:
        await self._none.wait()


def _too_long(error: Exception) -> Any:
    from mcp.types import INVALID_REQUEST, ErrorData, JSONRPCError

    return JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=INVALID_REQUEST, message=str(error)))


def _refusal(line: bytes, error: Any) -> Any:
    """Return the answer to what is no message (JSON-RPC 2.0, section 5.1); None to what is an answer itself."""
    from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
    from pydantic_core import from_json

    if any(found["type"] == "json_invalid" for found in error.errors(include_input=False, include_context=False)):
        return JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=PARSE_ERROR, message="Parse error"))
    found = from_json(line)
    id_ = None
    if isinstance(found, dict):
        if "method" not in found and ("result" in found or "error" in found):
            return None
        id_ = found.get("id")
    if isinstance(id_, bool) or not isinstance(id_, str | int):
        id_ = None
    return JSONRPCError(jsonrpc="2.0", id=id_, error=ErrorData(code=INVALID_REQUEST, message="Invalid Request"))
