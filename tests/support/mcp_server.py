"""An MCP server to test with, made with the official SDK: `python mcp_server.py` on stdio, or `served` over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

PICTURE = "aGVsbG8gd29ybGQ="
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
NOTHING = {"type": "object", "properties": {}}


def tool(name: str, schema: dict[str, Any], description: str = "", **more: Any) -> types.Tool:
    """Return a tool."""
    return types.Tool(name=name, description=description or f"Does {name}.", input_schema=schema, **more)


class TestServer:
    """Its tools, and what was called. `gate`: what the tool `wait` waits for. Tools may be changed at any time."""

    __test__ = False

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.bus = InMemorySubscriptionBus()
        self.tools = [
            tool("echo", TEXT, "Say it again."),
            tool("fail", NOTHING),
            tool("picture", NOTHING),
            tool("environment", NOTHING, annotations=types.ToolAnnotations(read_only_hint=True)),
            tool("die", NOTHING),
            tool("wait", NOTHING),
            tool("ask", NOTHING),
            tool("store", {"type": "object", "properties": {"record": {"type": "object"}}, "required": ["record"]}),
            tool("odd", {"type": "object", "properties": {"a b": {"type": "string"}}}),
        ]
        self.server: Server[Any] = Server(
            "tests",
            on_list_tools=self._list,
            on_call_tool=self._call,
            on_subscriptions_listen=ListenHandler(self.bus),
        )

    async def changed(self) -> None:
        """Tell the clients that the tools have changed."""
        await self.bus.publish(ToolsListChanged())

    async def _list(self, ctx: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=list(self.tools))

    async def _call(self, ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = params.arguments or {}
        self.calls.append((params.name, arguments))
        if ctx.request is not None:
            self.headers.append(dict(ctx.request.headers))
        match params.name:
            case "echo":
                return _said(arguments["text"])
            case "fail":
                return types.CallToolResult(content=[_text("the disk is\x1b[31m full")], is_error=True)
            case "picture":
                image = types.ImageContent(type="image", data=PICTURE, mime_type="image/png")
                return types.CallToolResult(content=[_text("Here:"), image])
            case "environment":
                return _said(json.dumps({"pid": os.getpid(), "names": sorted(os.environ)}))
            case "die":
                os._exit(3)
            case "wait":
                self.waiting.set()
                await self.gate.wait()
                return _said("waited")
            case "ask":
                await ctx.session.elicit_form("Who are you?", {"type": "object", "properties": {}})
                return _said("was told")
        return _said(json.dumps(arguments))


def _text(text: str) -> types.TextContent:
    return types.TextContent(type="text", text=text)


def _said(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[_text(text)])


@asynccontextmanager
async def served(server: TestServer, port: int = 0) -> AsyncIterator[str]:
    """Serve over streamable HTTP on loopback while the block lasts; gives the URL."""
    config = uvicorn.Config(
        server.server.streamable_http_app(), host="127.0.0.1", port=port, log_level="critical", lifespan="on"
    )
    http = _Quiet(config)
    serving = asyncio.create_task(http.serve())
    try:
        await asyncio.wait_for(http.begun.wait(), 20)
        yield f"http://127.0.0.1:{http.servers[0].sockets[0].getsockname()[1]}/mcp"
    finally:
        http.should_exit = http.force_exit = True
        await serving


class _Quiet(uvicorn.Server):
    """Leaves the signals to the tests, and says when it has begun."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begun.set()


async def serve_stdio() -> None:
    """Serve one client on standard input and output."""
    sys.stderr.write("a line for the log\n")
    sys.stderr.flush()
    server = TestServer().server
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(serve_stdio())
