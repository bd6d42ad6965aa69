"""An interface over HTTP on this machine: POST a line, and read the answers.

    POST /say   {"user": "ada", "text": "toss a coin", "id": "1"}   header X-Token: TOKEN  ->  202
    GET  /heard?user=ada                                            header X-Token: TOKEN  ->  ["heads"]

Whoever has the token may speak for any user of it, so it is for programs of one's own. It lies in
REKKU_HOME/interfaces/ and is off until `token` is set in `[interfaces.webhook_interface]`; it listens on the `port`
that is set there, or on 8790. Who may talk is settled as on every interface. With `REKKU_ACCESS=pairing` (which is so
unless set) a user hears a code first that a trainer confirms: `rekku pairing approve CODE`. `REKKU_ACCESS=open` lets
everybody in as a guest, and `TRAINER_IDS=webhook_interface:ada` makes ada a trainer.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, Field, SecretStr

from core.contracts.deliveries import Health, InterfaceLimits, Part, Receipt
from core.contracts.inputs import Address, Input, InputKind, Principal
from core.interface_base import InterfaceBase, Receive

if TYPE_CHECKING:
    from aiohttp import web

MOST_KEPT = 100


class WebhookInterface(InterfaceBase):
    """Takes lines by POST, and keeps the answers until they are fetched."""

    limits: ClassVar[InterfaceLimits] = InterfaceLimits(markdown=True)

    class Config(BaseModel):
        """`[interfaces.webhook_interface]`."""

        token: SecretStr | None = Field(default=None, description="What callers have to send as X-Token.")
        port: int = Field(default=8790, ge=0, le=65535, description="The port on 127.0.0.1; 0 takes a free one.")

    config: Config

    def __init__(self) -> None:
        self.port = 0
        self._receive: Receive | None = None
        self._runner: web.AppRunner | None = None
        self._heard: dict[str, list[str]] = defaultdict(list)

    @classmethod
    def configured(cls, config: BaseModel) -> str:
        """Tell that a token is needed."""
        return "" if getattr(config, "token", None) else "token is not set in [interfaces.webhook_interface]"

    async def start(self, receive: Receive) -> None:
        """Listen on the loopback address; raises OSError when the port is taken."""
        from aiohttp import web  # takes a while to import

        self._receive = receive
        app = web.Application(client_max_size=64 * 1024)
        app.add_routes([web.post("/say", self._say), web.get("/heard", self._tell)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.config.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the server."""
        self._receive = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def send(self, part: Part) -> Receipt:
        """Keep an answer until it is fetched."""
        kept = self._heard[part.address.chat_id]
        kept.append(part.text)
        del kept[:-MOST_KEPT]
        return Receipt(message_id=part.id)

    async def health(self) -> Health:
        """Tell whether it listens."""
        return Health(ok=self._runner is not None, detail=f"on 127.0.0.1:{self.port}")

    async def _say(self, request: web.Request) -> web.Response:
        from aiohttp import web

        if not self._allowed(request):
            return web.Response(status=401)
        try:
            said = await request.json()
            user, text, id = str(said["user"]), str(said["text"]), str(said["id"])
        except (ValueError, KeyError, TypeError):
            return web.Response(status=400, text='Send {"user": …, "text": …, "id": …}.')
        if self._receive is None or not user:
            return web.Response(status=503 if user else 400)
        accepted = await self._receive(
            Input(
                kind=InputKind.MESSAGE,
                principal=Principal(self.name, user),
                address=Address(self.name, user),
                text=text,
                dedupe_key=f"{user} {id}",
            )
        )
        # Only now is it durable, and may be told as taken.
        return web.json_response({"duplicate": accepted.duplicate}, status=202)

    async def _tell(self, request: web.Request) -> web.Response:
        from aiohttp import web

        if not self._allowed(request):
            return web.Response(status=401)
        return web.json_response(self._heard.pop(request.query.get("user", ""), []))

    def _allowed(self, request: web.Request) -> bool:
        token = self.config.token.get_secret_value() if self.config.token else ""
        return bool(token) and hmac.compare_digest(request.headers.get("X-Token", "").encode(), token.encode())


PLUGIN_CLASS = WebhookInterface
