"""The HTTP server of health: `/healthz`, `/readyz` and `/metrics`, for whoever may reach its port.

It does little, and lets nobody keep it busy: only GET and HEAD without a body, one request a connection, a deadline
for each, and so many connections at a time.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

from core.app import App
from core.contracts.json import JsonObject
from core.contracts.services import Clock
from core.health.metrics import CONTENT_TYPE, Metrics
from core.health.readiness import Phase, Readiness, as_json
from core.services.database_watch import DatabaseWatch
from core.services.loop_lag import LoopLag

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest, RequestHandler, Response, Server

log = structlog.get_logger("rekku.health")

REQUEST_S = 6.0
"""Longer than the two questions that a request may put to the database, one after the other."""

SILENCE_S = 5.0
LONGEST_CONNECTION_S = 15.0
MOST_CONNECTIONS = 16
LONGEST_LINE = 2048
MOST_HEADERS = 64
STOP_S = 1.0
TOLD_EVERY_S = 60.0
"""How often a malformed request is logged."""


class HealthServer:
    """Tells how an app is while the block lasts, which should begin before the app's and end behind it.

    address: host and port (0: any that is free), None: nothing is served. A port that cannot be had is a warning,
    and nothing is served either.
    """

    def __init__(self, app: App, address: tuple[str, int] | None) -> None:
        self._app = app
        self._address = address
        self._lag = LoopLag(app.clock)
        self._database = DatabaseWatch(app.database, app.clock)
        self.readiness = Readiness(app, self._database, self._lag)
        self._metrics = Metrics(app, self._database, self._lag)
        self._beats: asyncio.Task[None] | None = None
        self._answering: Server | None = None
        self._listening: asyncio.Server | None = None

    @property
    def port(self) -> int | None:
        """The port that is listened on, None when none is."""
        return self._listening.sockets[0].getsockname()[1] if self._listening is not None else None

    def is_now(self, phase: Phase) -> None:
        """The app has come so far."""
        self.readiness.phase = phase

    async def __aenter__(self) -> HealthServer:
        if self._address is not None:
            await self._start(*self._address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        if self._answering is not None:
            await self._answering.shutdown(STOP_S)
        if self._beats is not None:
            self._beats.cancel()
        self.readiness.close()
        self._database.close()

    async def _start(self, host: str, port: int) -> None:
        for heavy in ("aiohttp.web", "prometheus_client"):
            await asyncio.to_thread(importlib.import_module, heavy)
        from aiohttp import web

        self._answering = web.Server(
            self._answer,
            access_log=None,
            logger=_logger(self._app.clock),
            keepalive_timeout=SILENCE_S,
            lingering_time=0.0,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
        )
        try:
            self._listening = await asyncio.get_running_loop().create_server(self._accept, host, port)
        except OSError as error:
            log.warning(
                "health is not told over HTTP",
                address=f"{host}:{port}",
                error=error.strerror or str(error),
                cure="Set REKKU_HEALTH_LISTEN to a port that is free, or leave it empty.",
            )
            return
        self._beats = asyncio.create_task(self._lag.run(), name="lag of the event loop")
        log.info("health is told over HTTP", host=host, port=self.port)

    def _accept(self) -> asyncio.Protocol:
        server = self._answering
        assert server is not None
        if len(server.connections) >= MOST_CONNECTIONS:
            return _TurnedAway()
        handler = server()
        asyncio.get_running_loop().call_later(LONGEST_CONNECTION_S, _cut, handler)
        return handler

    async def _answer(self, request: BaseRequest) -> Response:
        try:
            async with asyncio.timeout(REQUEST_S):
                response = await self._respond(request)
        except TimeoutError:
            response = _said(503, {"error": f"It took longer than {REQUEST_S:g} s."})
        response.headers["Cache-Control"] = "no-store"
        response.force_close()
        return response

    async def _respond(self, request: BaseRequest) -> Response:
        answers = {"/healthz": self._healthz, "/readyz": self._readyz, "/metrics": self._metrics_text}
        answer = answers.get(request.path)
        if answer is None:
            return _said(404, {"error": f"There are {', '.join(answers)}."})
        if request.method not in ("GET", "HEAD"):
            return _said(405, {"error": "Only GET and HEAD are answered."}, {"Allow": "GET, HEAD"})
        if request.body_exists:
            return _said(413, {"error": "No body is taken."})
        return await answer()

    async def _healthz(self) -> Response:
        """Whether the process lives; asks nobody, so that it answers at once whatever else hangs."""
        lag = self._lag
        told: JsonObject = {
            "alive": not lag.stalled,
            "event_loop": {"recent_lag_s": round(lag.recent_s, 3), "max_lag_s": round(lag.most_s, 3)},
        }
        return _said(503 if lag.stalled else 200, told)

    async def _readyz(self) -> Response:
        told = as_json(await self.readiness.parts())
        return _said(200 if told["ready"] else 503, told)

    async def _metrics_text(self) -> Response:
        from aiohttp import web

        return web.Response(body=await self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})


class _OneAMinute(logging.Filter):
    """Passes one malformed request in a minute: whoever reaches the port could fill the log with them."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._next_s = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        from aiohttp.http_exceptions import HttpProcessingError

        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if not isinstance(error, HttpProcessingError):
            return True  # an error of ours
        now_s = self._clock.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + TOLD_EVERY_S
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        # One line, and not where in the reader it was noticed.
        record.exc_info, record.exc_text = None, None
        record.msg, record.args = "a malformed request; more of them in this minute are not logged", ()
        return True


def _logger(clock: Clock) -> logging.Logger:
    """Return a logger of one server's own, below that of health."""
    logger = logging.Logger("rekku.health.http")
    logger.parent = logging.getLogger("rekku.health")
    logger.addFilter(_OneAMinute(clock))
    return logger


class _TurnedAway(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _cut(handler: RequestHandler) -> None:
    if handler.transport is not None:
        handler.transport.abort()  # to close it would wait for a reader who does not read


def _said(status: int, told: JsonObject, headers: dict[str, str] | None = None) -> Response:
    from aiohttp import web

    text = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)
