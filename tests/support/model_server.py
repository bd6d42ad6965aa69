"""An OpenAI-compatible model server on 127.0.0.1 that does what a test tells it to.

    async with ModelServer() as server:
        server.queue(status(429, headers={"Retry-After": "2"}), reply("hello"))
        ...                                   # point an engine at server.base_url
        assert server.requests[0].body["messages"]

A behaviour answers one request; queued ones come first, `server.default` answers the rest. As a program,
`python -m tests.support.model_server --port 0` prints its port and answers every request with the same bytes at
once, for benchmarks: it parses and records nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiohttp import web

MAX_RECORDED = 1_000
CHUNK = b"x" * 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """One request as it arrived: its path, its headers (lower-case names) and its JSON body ({} for a GET)."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    raw: bytes = b""
    peer: tuple[str, int] = ("", 0)


Behaviour: TypeAlias = Callable[[web.Request, SeenRequest], Awaitable[web.StreamResponse]]
"""Answers one request."""

Script: TypeAlias = Callable[[dict[str, Any]], Behaviour]
"""Chooses a behaviour by a request's JSON."""


def actions(*pairs: tuple[str, dict[str, Any]]) -> str:
    """Return the reply text that asks for these actions, given as (type, payload)."""
    return json.dumps({"actions": [{"type": type_, "payload": payload} for type_, payload in pairs]})


def message(text: str) -> str:
    """Return the reply text that sends one message."""
    return actions(("message", {"text": text}))


def completion(
    text: str | None,
    *,
    prompt_tokens: int = 12,
    cached_tokens: int | None = None,
    completion_tokens: int = 7,
    finish_reason: str | None = "stop",
    model: str = "fake-1",
    **message_fields: Any,
) -> dict[str, Any]:
    """Return a chat completion as a server sends it; `message_fields` go into its message."""
    usage: dict[str, Any] = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    if cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached_tokens}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message_fields},
        "finish_reason": finish_reason,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [choice],
        "usage": usage,
    }


def json_body(
    data: Any, *, code: int = 200, headers: Mapping[str, str] | None = None, delay_s: float = 0.0
) -> Behaviour:
    """Answer with this JSON, `delay_s` seconds late."""
    payload = json.dumps(data).encode()

    async def respond(request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        if delay_s:
            await asyncio.sleep(delay_s)
        return web.Response(body=payload, status=code, content_type="application/json", headers=headers)

    return respond


def reply(text: str | None, *, delay_s: float = 0.0, **fields: Any) -> Behaviour:
    """Answer with this text; the other arguments are those of `completion`."""
    return json_body(completion(text, **fields), delay_s=delay_s)


def status(
    code: int,
    error: str = "no",
    *,
    error_code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Behaviour:
    """Answer with an error in the form that OpenAI gives it."""
    body = {"error": {"message": error, "type": "fake_error", "param": param, "code": error_code}}
    return json_body(body, code=code, headers=headers)


def html(code: int = 200) -> Behaviour:
    """Answer with a web page."""

    async def respond(request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        return web.Response(text="<!doctype html><title>Welcome</title>", status=code, content_type="text/html")

    return respond


def hang() -> Behaviour:
    """Never answer."""

    async def respond(request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return respond


def drip(interval_s: float = 0.01, prefix: bytes = b'{"id": "') -> Behaviour:
    """Send a byte of a never-ending body every `interval_s` seconds."""

    async def respond(request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(prefix)
        while True:
            await response.write(b"x")
            await asyncio.sleep(interval_s)

    return respond


def truncated(text: str = "half of this never arrives") -> Behaviour:
    """Announce a whole completion, send half of it, and close the connection."""
    payload = json.dumps(completion(text)).encode()

    async def respond(request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Content-Length": str(len(payload))}
        )
        await response.prepare(request)
        await response.write(payload[: len(payload) // 2])
        if request.transport is not None:
            request.transport.close()
        return response

    return respond


def huge(size: int, *, code: int = 200, announce: bool = True, gzip: bool = False) -> Behaviour:
    """Send a JSON string of `size` bytes; without `announce` its length is not told beforehand."""

    async def respond(request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=code, headers={"Content-Type": "application/json"})
        if gzip:
            response.enable_compression(web.ContentCoding.gzip)
        elif announce:
            response.content_length = size + 2
        await response.prepare(request)
        await response.write(b'"')
        for start in range(0, size, len(CHUNK)):
            await response.write(CHUNK[: size - start])
        await response.write(b'"')
        return response

    return respond


def echo_key(code: int = 401) -> Behaviour:
    """Refuse the key and quote it whole, as careless servers do."""

    async def respond(request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        key = seen.headers.get("authorization", "").removeprefix("Bearer ")
        error = {"message": f"Incorrect API key provided: {key}", "type": key, "param": key, "code": key}
        return web.json_response({"error": error}, status=code)

    return respond


def refuse_response_format(
    *kinds: str, then: Behaviour | None = None, code: int = 400, error: str | None = None
) -> Behaviour:
    """Answer 400 to requests whose response_format is one of `kinds`, and `then` to the others."""
    after = then or reply(message("ok"))

    async def respond(request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        kind = seen.body.get("response_format", {}).get("type", "")
        if kind not in kinds:
            return await after(request, seen)
        return await status(code, error or f"response_format {kind} is not supported")(request, seen)

    return respond


def scripted(script: Script) -> Behaviour:
    """Let `script` choose by the request's JSON."""

    async def respond(request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        return await script(seen.body)(request, seen)

    return respond


class ModelServer:
    """An async context manager: it listens from entry to exit. Set `default`, or `queue` behaviours.

    models: the ids that /v1/models lists; `models_behaviour`, when set, answers there instead.
    requests: what came to /v1/chat/completions, oldest first, at most MAX_RECORDED. cancelled: how many requests
    were given up by the client before they were answered.
    """

    def __init__(self, default: Behaviour | None = None, *, port: int = 0, lean: bool = False) -> None:
        self.default = default or reply(message("ok"))
        self.models: Sequence[str] = ("fake-1",)
        self.models_behaviour: Behaviour | None = None
        self.requests: deque[SeenRequest] = deque(maxlen=MAX_RECORDED)
        self.model_lists = 0
        self.cancelled = 0
        self.port = port
        self._queue: deque[Behaviour] = deque()
        self._lean = lean
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL is set to."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def connections(self) -> int:
        """How many different connections the recorded requests came over."""
        return len({seen.peer for seen in self.requests})

    def queue(self, *behaviours: Behaviour) -> None:
        """Answer the next requests with these, one each."""
        self._queue.extend(behaviours)

    async def __aenter__(self) -> ModelServer:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._fixed() if self._lean else self._chat)
        app.router.add_get("/v1/models", self._list)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        seen = SeenRequest(
            path=request.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=json.loads(raw),
            raw=raw,
            peer=_peer(request),
        )
        self.requests.append(seen)
        behaviour = self._queue.popleft() if self._queue else self.default
        try:
            return await behaviour(request, seen)
        except (asyncio.CancelledError, ConnectionError):
            self.cancelled += 1
            raise

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self.model_lists += 1
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = SeenRequest(path=request.path, headers=headers, body={}, peer=_peer(request))
        if self.models_behaviour is not None:
            return await self.models_behaviour(request, seen)
        return web.json_response(
            {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}
        )

    @staticmethod
    def _fixed() -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        payload = json.dumps(completion(message("ok"))).encode()

        async def respond(request: web.Request) -> web.StreamResponse:
            await request.read()
            return web.Response(body=payload, content_type="application/json")

        return respond


def _peer(request: web.Request) -> tuple[str, int]:
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return (peer[0], peer[1]) if peer else ("", 0)


async def _serve(port: int) -> None:
    async with ModelServer(port=port, lean=True) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A model server on 127.0.0.1 that answers everything at once.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; it is printed")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args().port))
