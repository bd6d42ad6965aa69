"""The webhook: an HTTP server that answers Telegram only when the input of the update is stored.

Source: https://core.telegram.org/bots/api#setwebhook
"""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

from aiogram.exceptions import TelegramAPIError
from aiogram.methods import SetWebhook
from aiohttp import web

from core.contracts.errors import RekkuError
from core.contracts.services import Clock
from interfaces.telegram.client import Client, Unreachable
from interfaces.telegram.intake import Intake
from interfaces.telegram.standing import Standing
from interfaces.telegram.updates import TAKEN

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
LONGEST_BODY = 1 << 20
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 1.0, 300.0


class Webhook:
    """Listens on `listen` (host:port), at the path of `url`, for posts that carry the secret."""

    def __init__(
        self, client: Client, intake: Intake, standing: Standing, clock: Clock, *, url: str, secret: str, listen: str
    ) -> None:
        self._client = client
        self._intake = intake
        self._standing = standing
        self._clock = clock
        self._url = url
        self._secret = secret
        self._listen = urlsplit(f"//{listen}")
        self._in_order = asyncio.Lock()
        self._runner: web.AppRunner | None = None

    async def listen(self) -> None:
        """Begin to listen; raises OSError when the port cannot be had."""
        app = web.Application(client_max_size=LONGEST_BODY)
        app.router.add_post(urlsplit(self._url).path or "/", self._post)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._listen.hostname, self._listen.port).start()

    async def announce(self) -> None:
        """Tell Telegram where to post; tried again until it is taken."""
        wait_s = FIRST_BACK_OFF_S
        # One connection: updates come one after another, and so in order.
        method = SetWebhook(url=self._url, secret_token=self._secret, allowed_updates=list(TAKEN), max_connections=1)
        while True:
            try:
                await self._client(method)
            except (TelegramAPIError, Unreachable) as error:
                self._standing.fails(f"The webhook could not be set: {error}", "Check TELEGRAM_WEBHOOK_URL.")
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_BACK_OFF_S)
            else:
                self._standing.works()
                return

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        given = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._secret.encode()):
            return web.Response(status=401)
        try:
            raw: Any = json.loads(await request.read())
        except (ValueError, RecursionError):
            raw = None  # the intake reports it; asked for again it would be the same
        try:
            async with self._in_order:
                await self._intake.take([raw])
        except RekkuError:
            return web.Response(status=503)  # Telegram posts it again
        return web.Response()
