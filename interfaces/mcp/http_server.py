"""Streamable HTTP for clients that know the token."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import uvicorn
from pydantic import SecretStr

STARTING_S = 10.0
STOPPING_S = 3.0

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


class _Quiet(uvicorn.Server):
    """Leaves the signals of the process to those who have them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves a server of the SDK on `address` (host, port; port 0: any that is free) under `/mcp`."""

    def __init__(self, server: Any, address: tuple[str, int], token: SecretStr) -> None:
        host, port = address
        app = _guarded(server.streamable_http_app(host=host), token)
        self._host = host
        self._uvicorn = _Quiet(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=int(STOPPING_S),
                server_header=False,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen; raises OSError when the address cannot be had."""
        self._serving = asyncio.create_task(self._serve(), name="MCP over HTTP")
        async with asyncio.timeout(STARTING_S):
            while not self._uvicorn.started:
                if self._serving.done():
                    self._serving.result()
                    raise OSError("MCP over HTTP ended before it had begun")
                await asyncio.sleep(0.02)

    @property
    def url(self) -> str:
        """Where a client connects to."""
        port = self._uvicorn.servers[0].sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}/mcp"

    async def stop(self) -> None:
        """Listen no more; what is open is cut off after a while."""
        if self._serving is None:
            return
        self._uvicorn.should_exit = True
        _, late = await asyncio.wait({self._serving}, timeout=STOPPING_S + 1.0)
        if late:
            self._uvicorn.force_exit = True
            self._serving.cancel()
            await asyncio.wait({self._serving}, timeout=1.0)

    async def _serve(self) -> None:
        try:
            await self._uvicorn.serve()
        except SystemExit as error:  # how uvicorn says that the address is taken
            raise OSError("the address of [interfaces.mcp] listen cannot be used; is it taken?") from error


def _guarded(app: Application, token: SecretStr) -> Application:
    """Let in who names the token, and nobody else."""
    wanted = f"Bearer {token.get_secret_value()}".encode()

    async def guarded(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = [value for name, value in scope["headers"] if name == b"authorization"]
            if len(given) != 1 or not hmac.compare_digest(given[0], wanted):
                await _refuse(send)
                return
        elif scope["type"] != "lifespan":
            return
        await app(scope, receive, send)

    return guarded


async def _refuse(send: Any) -> None:
    headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b"Bearer")]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": b"The token is missing or wrong.\n"})
