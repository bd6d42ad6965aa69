"""The HTTP side: methods under /bot<token>/, files under /file/bot<token>/, and /control for other processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from types import TracebackType
from typing import Any

from aiohttp import ClientError, ClientSession, web

from core.contracts.json import Json, JsonObject
from tests.support.bot_api.refusals import Refusal, refusal
from tests.support.bot_api.senders import private
from tests.support.bot_api.world import Fault, World

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_PLAIN = {"text", "chat_id", "url", "secret_token", "action", "callback_query_id", "file_id"}
WEBHOOK_RETRY_S = 0.1


class BotApi:
    """The server; `world` is what it serves."""

    def __init__(self, world: World | None = None, *, port: int = 0) -> None:
        self.world = world or World()
        self._port = port
        self._poll = 0
        self._hooks: asyncio.Task[None] | None = None
        app = web.Application(client_max_size=1 << 22)
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        app.router.add_get("/file/bot{token}/{path:.*}", self._file)
        app.router.add_post("/control/{verb}", self._control)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)

    @property
    def base_url(self) -> str:
        """What goes into TELEGRAM_API_BASE."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> BotApi:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self._hooks = asyncio.create_task(self._deliver_to_webhook(), name="webhook deliveries")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hooks is not None:
            self._hooks.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._hooks
        await self._runner.cleanup()

    async def _call(self, request: web.Request) -> web.StreamResponse:
        world, method = self.world, request.match_info["method"]
        if request.match_info["token"] != world.token:
            return _refused(Refusal(status=401, description="Unauthorized"))
        params = {name: _read(name, value) for name, value in (await request.post()).items()}
        world.called(method, params)
        chat_id = int(params["chat_id"]) if "chat_id" in params else None
        fault = world.take_fault(method, chat_id, entities=bool(params.get("entities")))
        if fault is not None:
            await asyncio.sleep(fault.hang_s)
            if fault.raw:
                return web.Response(status=fault.status or 200, text=fault.raw)
            if fault.drop == "before":
                return _hang_up(request)
            if fault.status:
                return self._scripted(fault, chat_id)
        if method == "getUpdates":
            answer = await self._updates(params)
            return _hang_up(request) if fault is not None and fault.drop == "after" else answer
        refused = refusal(world, method, params)
        if refused is not None:
            return _refused(refused)
        result = self._do(method, params)
        if fault is not None and fault.drop == "after":
            return _hang_up(request)
        return result if isinstance(result, web.Response) else _ok(result)

    def _scripted(self, fault: Fault, chat_id: int | None) -> web.Response:
        if "retry_after" in fault.parameters and chat_id is not None:
            self.world.floods[chat_id] = self.world.clock() + fault.parameters["retry_after"]
            self.world.changed.set()
        return _refused(Refusal(status=fault.status, description=fault.description, parameters=fault.parameters))

    def _do(self, method: str, params: JsonObject) -> Json | web.Response:
        world = self.world
        if method == "getMe":
            return {**world.bot.as_json(), "can_join_groups": True, "can_read_all_group_messages": True}
        if method == "getFile":
            return self._file_info(str(params["file_id"]))
        if method == "setWebhook":
            world.webhook = params
        elif method == "deleteWebhook":
            world.webhook = {}
        elif method == "editMessageText":
            effect = world.record(method, params, message_id=int(params["message_id"]))
            return world.message_of(effect)
        effect = world.record(method, params)
        return world.message_of(effect) if method == "sendMessage" else True

    async def _updates(self, params: JsonObject) -> web.Response:
        world = self.world
        self._poll += 1
        mine = self._poll
        world.news.set()  # whoever polls already is told that somebody else does
        if world.conflict:
            return _conflict(
                "terminated by other getUpdates request; make sure that only one bot instance is running"
            )
        if world.webhook.get("url"):
            return _conflict("can't use getUpdates method while webhook is active; use deleteWebhook to delete it")
        world.confirm_below(int(params.get("offset", 0)))
        limit = int(params.get("limit", 100))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(params.get("timeout", 0))):
                while not world.waiting and mine == self._poll and not world.conflict:
                    world.news.clear()
                    await world.news.wait()
        if mine != self._poll:
            return _conflict(
                "terminated by other getUpdates request; make sure that only one bot instance is running"
            )
        return _ok(list(world.batch(limit)))

    def _file_info(self, file_id: str) -> Json | web.Response:
        content = self.world.files.get(file_id)
        if content is None:
            return _refused(Refusal(status=400, description="Bad Request: invalid file_id"))
        return {
            "file_id": file_id,
            "file_unique_id": f"u-{file_id}",
            "file_size": len(content),
            "file_path": f"documents/{file_id}",
        }

    async def _file(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] != self.world.token:
            return web.Response(status=404)
        content = self.world.files.get(request.match_info["path"].removeprefix("documents/"))
        return web.Response(status=404) if content is None else web.Response(body=content)

    async def _deliver_to_webhook(self) -> None:
        world = self.world
        async with ClientSession() as client:
            while True:
                url = world.webhook.get("url")
                if not url or not world.waiting:
                    world.news.clear()
                    await world.news.wait()
                    continue
                update = world.waiting[0]
                headers = {SECRET_HEADER: str(world.webhook.get("secret_token", ""))}
                try:
                    async with client.post(url, json=update, headers=headers) as response:
                        taken = response.status == 200
                except (ClientError, OSError):
                    taken = False
                if taken:
                    world.confirmed.append(world.waiting.pop(0))
                    world.changed.set()
                else:
                    await asyncio.sleep(WEBHOOK_RETRY_S)

    async def _control(self, request: web.Request) -> web.Response:
        """POST /control/say with a list of updates; /control/fault with a Fault; /control/ledger; /control/exchange.

        The last one takes {"chat_id", "text"}, says it in a private chat, and answers with the seconds to the reply.
        """
        world, verb = self.world, request.match_info["verb"]
        body: Any = await request.json() if request.can_read_body else []
        if verb == "say":
            return _ok(list(world.say(*body)))
        if verb == "fault":
            world.faults.append(Fault(**body))
            return _ok(True)
        if verb == "exchange":
            chat_id = int(body["chat_id"])
            return _ok(await world.exchange(private(chat_id, str(body["text"])), chat_id))
        rows = [{"method": e.method, "chat_id": e.chat_id, "text": e.text} for e in world.effects]
        return _ok({"effects": rows, "waiting": len(world.waiting)})


def _read(name: str, value: Any) -> Json:
    """Return a parameter: numbers and objects are sent as JSON."""
    if name in _PLAIN:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _ok(result: Json) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def _refused(refused: Refusal) -> web.Response:
    body: JsonObject = {"ok": False, "error_code": refused.status, "description": refused.description}
    if refused.parameters:
        body["parameters"] = refused.parameters
    return web.json_response(body, status=refused.status)


def _conflict(why: str) -> web.Response:
    return _refused(Refusal(status=409, description=f"Conflict: {why}"))


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
