"""One MCP server: its connection, kept up in the background, and its tools as it last told them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from core.contracts.errors import ActionFailed
from core.contracts.json import JsonObject
from core.contracts.services import Clock
from core.contracts.version import VERSION
from plugins.mcp import transports
from plugins.mcp.config import ServerConfig
from plugins.mcp.foreign_text import LONGEST_REASON, one_line

CONNECT_S = 30.0
NO_MCP = "what it writes on its standard output is not MCP"
LIST_S = 30.0
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
REFRESH_S = 300.0
STOPPING_S = 8.0
SESSION_GONE = "Session terminated"
HTTP_ERROR = "Server returned an error response"
"""What the SDK says where an HTTP status is all that came back: a gateway's, say, behind which the tool has run."""

MOST_PAGES = 20
MOST_TOOLS = 200


class McpServer:
    """Connects, lists the tools, tells of them, and connects again when that was lost.

    told: called with the tools (as the SDK has them) after each listing. said: a line of the program's stderr.
    Nothing here raises to its owner; `reason` says why the server is away, "" while it is there.
    """

    def __init__(
        self,
        name: str,
        config: ServerConfig,
        *,
        clock: Clock,
        told: Callable[[McpServer, list[Any]], Awaitable[None]],
        said: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.config = config
        self.reason = "it is being connected to"
        self.first_try = asyncio.Event()
        self._clock = clock
        self._told = told
        self._said = said
        self._last_words = ""
        self._noise = ""
        self._client: Any = None
        self._lost = asyncio.Event()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether it can be called now."""
        return self._client is not None

    def start(self) -> None:
        """Begin to connect."""
        logging.getLogger("mcp").setLevel(logging.CRITICAL)  # what it has to say, with tracebacks, we say ourselves
        logging.getLogger("client").setLevel(logging.CRITICAL)
        self._task = asyncio.create_task(self._keep_up(), name=f"MCP server {self.name}")

    async def stop(self) -> None:
        """Disconnect, and end the program that was started."""
        if self._task is None:
            return
        self._stopping.set()
        _, late = await asyncio.wait({self._task}, timeout=1.0 if self._client is None else STOPPING_S)
        if late:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=STOPPING_S)
        self.reason = "it was stopped"

    async def call(self, tool: str, arguments: JsonObject) -> Any:
        """Call a tool and return the SDK's result.

        Raises ActionFailed when nothing was sent or the server says no, ConnectionError when the end was not seen.
        """
        client = self._client
        if client is None:
            raise ActionFailed(f"The MCP server {self.name} is away: {self.reason}.")
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT

        try:
            return await client.call_tool(tool, arguments)
        except MCPError as error:
            if error.message == SESSION_GONE:
                self._lost.set()  # it has started anew and knows nothing of us, nor of this call
            if error.code in (CONNECTION_CLOSED, REQUEST_TIMEOUT) or error.message == HTTP_ERROR:
                self._lost.set()
                raise ConnectionAbortedError(f"the MCP server {self.name} was lost during the call") from error
            said = one_line(error.message, LONGEST_REASON)
            raise ActionFailed(f"The MCP server {self.name} refuses the call: {said}") from error
        except Exception as error:
            # Of a transport, or of an answer that is none: the tool may have run, and how it ended is not known.
            self._lost.set()
            what = one_line(f"{type(error).__name__}: {error}", LONGEST_REASON)
            raise ConnectionAbortedError(f"no answer of the MCP server {self.name}: {what}") from error

    async def _keep_up(self) -> None:
        wait_s = FIRST_RETRY_S
        while not self._stopping.is_set():
            self._lost.clear()
            self._last_words = self._noise = ""
            listed = False
            try:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(CONNECT_S):
                        client = await stack.enter_async_context(self._made())
                        tools = await _all_tools(client)
                    self._client, self.reason, listed = client, "", True
                    self._noise = ""  # words of greeting, then
                    wait_s = FIRST_RETRY_S
                    stack.callback(self._gone)
                    await self._told(self, tools)
                    self.first_try.set()
                    await self._serve(client)
            except Exception as error:  # noqa: BLE001 - foreign code at the other end: whatever it does, it is away
                self._away(error)
            finally:
                self._gone()
                self.first_try.set()
            if listed and not self.reason:
                self.reason = "the connection was lost"
            await self._first_of(self._clock.sleep(wait_s), self._stopping.wait())
            wait_s = min(wait_s * 2, LONGEST_RETRY_S)

    def _made(self) -> Any:
        from mcp import Client
        from mcp.types import Implementation

        transport = transports.transport(self.config, said=self._heard, ended=self._lost.set)
        # No callbacks: what a server asks of its client (sampling, elicitation, roots) is refused by the SDK.
        return Client(
            transport,
            cache=None,
            client_info=Implementation(name="rekku", version=VERSION),
            message_handler=self._notified,
        )

    async def _serve(self, client: Any) -> None:
        """Wait until the connection ends; list the tools again as often as they may have changed."""
        listening = asyncio.create_task(self._listen(client), name=f"changes of MCP server {self.name}")
        try:
            while not (self._stopping.is_set() or self._lost.is_set()):
                await self._first_of(
                    self._stopping.wait(), self._lost.wait(), self._changed.wait(), self._clock.sleep(REFRESH_S)
                )
                if self._stopping.is_set() or self._lost.is_set():
                    return
                self._changed.clear()
                async with asyncio.timeout(LIST_S):
                    tools = await _all_tools(client)
                await self._told(self, tools)
        finally:
            listening.cancel()
            await asyncio.wait({listening})

    async def _listen(self, client: Any) -> None:
        """Hear of changes where the protocol wants them to be asked for; elsewhere they come by themselves."""
        tools = client.server_capabilities.tools
        if tools is None or not tools.list_changed:
            return
        with contextlib.suppress(Exception):  # without it they are noticed at the next listing
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._changed.set()

    async def _notified(self, message: Any) -> None:
        if isinstance(message, Exception) and self.config.command and not self.connected:
            self._noise = NO_MCP
            self.reason = NO_MCP
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._changed.set()

    def _heard(self, line: str) -> None:
        self._last_words = line
        self._said(self.name, line)

    def _gone(self) -> None:
        self._client = None

    def _away(self, error: BaseException) -> None:
        error = _innermost(error)
        if isinstance(error, TimeoutError):
            what = f"no answer in {CONNECT_S:g} s"
        else:
            what = one_line(f"{type(error).__name__}: {error}", LONGEST_REASON)
        hint = self._last_words or self._noise
        self.reason = f"{what} ({hint})" if hint else what

    @staticmethod
    async def _first_of(*waits: Awaitable[Any]) -> None:
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _all_tools(client: Any) -> list[Any]:
    """Return all tools of a server, `MOST_TOOLS` at most."""
    tools: list[Any] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if not cursor or len(tools) >= MOST_TOOLS:
            break
    return tools[:MOST_TOOLS]


def _innermost(error: BaseException) -> BaseException:
    """Return the one error that a group of task groups is about."""
    for _ in range(10):
        if not isinstance(error, BaseExceptionGroup):
            break
        error = error.exceptions[0]
    return error
