"""The engine `openai` against a model server on loopback: modes, error mapping, bounds, secrecy."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from aiohttp.web import ContentCoding
from pydantic import SecretStr, ValidationError
from structlog.typing import FilteringBoundLogger

from core.contracts.actions import ActionSpec
from core.contracts.engine import EngineRequest, PromptMessage, Source
from core.contracts.errors import EngineError, EngineRefused, EngineTimeout, EngineUnavailable, StorageUnavailable
from core.contracts.json import Json, compact
from core.contracts.schedule import Schedule
from core.contracts.services import Database, PluginContext, Services
from core.turn.stages.response_schema import response_schema
from engines.openai import PLUGIN_CLASS
from engines.openai.bounded_transport import MAX_REPLY_BYTES
from engines.openai.config import OPENAI_DEFAULT_MODEL, OpenAIConfig
from engines.openai.connection import proxy_for
from engines.openai.enforced_shape import could_be_enforced
from engines.openai.engine import OpenAIEngine
from engines.openai.failures import Answer, failure, retry_after_s
from engines.openai.modes import REMEMBERED_MS
from tests.support import model_server as fake
from tests.support.model_server import Behaviour, ModelServer

KEY = "sk-canary-0123456789abcdef"
PROMPT_CANARY = "the-words-of-the-user"
NOW_MS = 1_900_000_000_000


class StillClock:
    def now_ms(self) -> int:
        return NOW_MS

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the engine does not sleep")


class MemoryStore:
    """A key-value store that can be away."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.away = False

    async def get(self, key: str, default: Json = None) -> Json:
        self._check(key)
        return json.loads(self.values[key]) if key in self.values else default

    async def set(self, key: str, value: Json) -> None:
        self._check(key)
        self.values[key] = json.dumps(value)

    async def delete(self, key: str) -> None:
        self._check(key)
        self.values.pop(key, None)

    def _check(self, key: str) -> None:
        assert len(key) <= 190
        if self.away:
            raise StorageUnavailable("The database is away.")


class Context:
    """What the engine is given: a store, a still clock, and a log that is kept."""

    name = "openai"
    timezone = "UTC"
    data_directory = Path("unused")

    def __init__(self, kv: MemoryStore) -> None:
        self.kv = kv
        self.clock = StillClock()
        self.logged: list[Any] = []
        self.log: FilteringBoundLogger = structlog.wrap_logger(
            None, processors=[self._keep], wrapper_class=structlog.make_filtering_bound_logger(0)
        )

    def _keep(self, logger: object, method: str, event: Any) -> Any:
        self.logged.append(dict(event))
        raise structlog.DropEvent

    @property
    def database(self) -> Database:
        raise AssertionError

    @property
    def services(self) -> Services:
        raise AssertionError

    @property
    def schedule(self) -> Schedule:
        raise AssertionError

    def spawn(self, job: Awaitable[None], name: str) -> None:
        raise AssertionError


@asynccontextmanager
async def started(
    server: ModelServer, *, kv: MemoryStore | None = None, **settings: Any
) -> AsyncIterator[OpenAIEngine]:
    engine = OpenAIEngine()
    engine.context = cast(PluginContext, Context(kv or MemoryStore()))
    engine.config = OpenAIEngine.Config(
        **{"api_key": KEY, "base_url": server.base_url, "model": "fake-1", **settings}
    )
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


SPECS = (
    ActionSpec(
        type="message",
        description="Send a message.",
        schema={
            "type": "object",
            "properties": {"text": {"type": "string", "description": "What to say."}, "to": {"type": "string"}},
            "required": ["text"],
            "additionalProperties": False,
        },
    ),
)
SCHEMA = response_schema(SPECS)
STRICT_REPLY = fake.actions(("message", {"text": "hi", "to": None}))


def request(**changes: Any) -> EngineRequest:
    values: dict[str, Any] = {
        "instructions": "Answer in JSON.",
        "catalogue": "THE WHOLE CATALOGUE",
        "catalogue_brief": "THE BRIEF CATALOGUE",
        "messages": (PromptMessage(role="user", content=PROMPT_CANARY, source=Source.PRINCIPAL),),
        "actions": SPECS,
        "response_schema": SCHEMA,
        "timeout_s": 5.0,
    }
    return EngineRequest(**{**values, **changes})


def formats(server: ModelServer) -> list[str]:
    """The response formats of the requests, in order."""
    return [seen.body.get("response_format", {}).get("type", "prompt") for seen in server.requests]


async def error_of(engine: OpenAIEngine, changed: EngineRequest | None = None) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await engine.complete(changed or request())
    assert_tells_nothing(caught.value)
    return caught.value


def assert_tells_nothing(error: BaseException) -> None:
    """No key and no prompt in the error, its cure, or anything that a traceback would show."""
    told = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    assert KEY not in told
    assert PROMPT_CANARY not in told
    assert error.__cause__ is None
    assert error.__context__ is None


# What is sent


async def test_a_call_with_a_schema(server: ModelServer) -> None:
    server.default = fake.reply(STRICT_REPLY, cached_tokens=5, reasoning_content="hmm")
    async with started(server, temperature=0.5, max_output_tokens=99) as engine:
        reply = await engine.complete(request())
    (seen,) = server.requests
    assert seen.body == {
        "model": "fake-1",
        "temperature": 0.5,
        "max_tokens": 99,
        "messages": request().chat(schema_enforced=True),
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA},
        },
    }
    assert "THE BRIEF CATALOGUE" in seen.body["messages"][0]["content"]
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert reply.text == STRICT_REPLY
    assert reply.reasoning == "hmm"
    assert (reply.usage.prompt_tokens, reply.usage.cached_tokens, reply.usage.completion_tokens) == (12, 5, 7)
    assert (reply.finish_reason, reply.model) == ("stop", "fake-1")
    messages = compact(request().chat(schema_enforced=True)).encode()
    schema = compact(SCHEMA).encode()
    assert reply.prompt_bytes == len(messages) + len(schema)
    assert messages in seen.raw
    assert schema in seen.raw


async def test_the_request_overrides_the_configuration(server: ModelServer) -> None:
    async with started(server, temperature=0.5, max_output_tokens=99) as engine:
        await engine.complete(request(model="other", temperature=0.0, max_output_tokens=5, response_schema=None))
    body = server.requests[0].body
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("other", 0.0, 5)
    assert body["response_format"] == {"type": "json_object"}
    assert "THE WHOLE CATALOGUE" in body["messages"][0]["content"]


async def test_text_that_utf8_cannot_say_is_sent_all_the_same(server: ModelServer) -> None:
    lone = PromptMessage(role="user", content="a\ud800b ☂ 漢", source=Source.PRINCIPAL)
    async with started(server) as engine:
        await engine.complete(request(messages=(lone,)))
    assert server.requests[0].body["messages"][1]["content"] == "a?b ☂ 漢"


async def test_the_environment_is_not_read_behind_our_back(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/from-the-environment")
    monkeypatch.setenv("OPENAI_ORG_ID", "from-the-environment")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "from-the-environment")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Sneaky: from-the-environment")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with started(server, api_key=None) as engine:
        await engine.complete(request())
    headers = server.requests[0].headers
    assert headers["authorization"] == "Bearer none"
    assert "from-the-environment" not in str(headers)
    assert "openai-organization" not in headers


def test_proxies_are_those_of_the_environment_but_never_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert proxy_for("https://api.openai.com/v1") == "http://proxy.example:3128"
    assert proxy_for("https://inside.example/v1") is None
    assert proxy_for("http://api.example/v1") is None
    assert proxy_for("https://localhost/v1") is None


# Modes


async def test_a_weaker_mode_is_taken_at_once_and_remembered(server: ModelServer) -> None:
    server.default = fake.refuse_response_format("json_schema")
    kv = MemoryStore()
    async with started(server, kv=kv) as engine:
        assert engine.capabilities.json_schema
        reply = await engine.complete(request())
        assert reply.text == fake.message("ok")
        assert formats(server) == ["json_schema", "json_object"]
        assert "THE WHOLE CATALOGUE" in server.requests[1].body["messages"][0]["content"]
        assert not engine.capabilities.json_schema
        await engine.complete(request())
    async with started(server, kv=kv) as again:
        assert not again.capabilities.json_schema
        await again.complete(request())
    assert formats(server)[2:] == ["json_object", "json_object"]
    async with started(server, kv=kv, model="another") as other:
        assert other.capabilities.json_schema


@pytest.mark.parametrize("code", [400, 422])
async def test_a_server_that_takes_no_response_format_gets_the_prompt_alone(server: ModelServer, code: int) -> None:
    server.default = fake.refuse_response_format("json_schema", "json_object", code=code)
    kv = MemoryStore()
    async with started(server, kv=kv) as engine:
        await engine.complete(request())
        await engine.complete(request())
    assert formats(server) == ["json_schema", "json_object", "prompt", "prompt"]
    async with started(server, kv=kv) as again:
        await again.complete(request(response_schema=None))
    assert formats(server)[-1] == "prompt"


async def test_a_server_that_takes_a_schema_but_no_json_object(server: ModelServer) -> None:
    server.default = fake.refuse_response_format("json_object")
    async with started(server) as engine:
        await engine.complete(request(response_schema=None))
        await engine.complete(request(response_schema=None))
        await engine.complete(request())
        assert engine.capabilities.json_schema
    assert formats(server) == ["json_object", "prompt", "prompt", "json_schema"]


async def test_an_internal_error_over_the_schema_is_a_refusal_of_the_format(server: ModelServer) -> None:
    server.default = fake.refuse_response_format("json_schema", code=500, error="failed to parse grammar")
    async with started(server) as engine:
        await engine.complete(request())
    assert formats(server) == ["json_schema", "json_object"]


async def test_when_no_mode_works_nothing_is_remembered(server: ModelServer) -> None:
    server.default = fake.status(400, "no such luck")
    kv = MemoryStore()
    async with started(server, kv=kv) as engine:
        error = await error_of(engine)
        assert engine.capabilities.json_schema
    assert isinstance(error, EngineRefused)
    assert formats(server) == ["json_schema", "json_object", "prompt"]
    assert kv.values == {}


@pytest.mark.parametrize(
    "refusal",
    [
        fake.status(400, "too much", error_code="context_length_exceeded"),
        fake.status(400, "the request exceeds the available context size"),
        fake.status(400, "no", error_code="content_policy_violation"),
        fake.status(400, "no", param="temperature"),
    ],
)
async def test_an_error_about_something_else_costs_one_call(server: ModelServer, refusal: Behaviour) -> None:
    server.default = refusal
    async with started(server) as engine:
        assert isinstance(await error_of(engine), EngineRefused)
    assert formats(server) == ["json_schema"]


async def test_a_configured_mode_is_the_only_one(server: ModelServer) -> None:
    async with started(server, mode="prompt") as engine:
        assert not engine.capabilities.json_schema
        await engine.complete(request())
    server.default = fake.refuse_response_format("json_schema")
    async with started(server, mode="json_schema") as engine:
        assert isinstance(await error_of(engine), EngineRefused)
        assert engine.capabilities.json_schema
    assert formats(server) == ["prompt", "json_schema"]


async def test_a_schema_that_is_ignored_twice_in_a_row_is_given_up(server: ModelServer) -> None:
    ignored = fake.reply('{"actions": [{"type": "message", "payload": {"body": "hi"}}]}')
    enforced = fake.reply(STRICT_REPLY)
    kv = MemoryStore()
    async with started(server, kv=kv) as engine:
        server.queue(ignored, enforced, ignored)
        for _ in range(3):
            await engine.complete(request())
        assert engine.capabilities.json_schema
        server.queue(fake.reply("Sure! Here you go."))
        reply = await engine.complete(request())
        assert reply.text == "Sure! Here you go."
        assert not engine.capabilities.json_schema
        await engine.complete(request())
    async with started(server, kv=kv) as again:
        assert not again.capabilities.json_schema
    assert formats(server) == ["json_schema"] * 4 + ["json_object"]


async def test_replies_that_were_cut_off_say_nothing_about_the_schema(server: ModelServer) -> None:
    server.default = fake.reply('{"actions": [', finish_reason="length")
    async with started(server) as engine:
        for _ in range(3):
            assert (await engine.complete(request())).finish_reason == "length"
        assert engine.capabilities.json_schema


@pytest.mark.parametrize(
    ("text", "possible"),
    [
        (STRICT_REPLY, True),
        ('{"actions": []}', True),
        (fake.actions(("message", {"text": "hi"})), False),
        (fake.actions(("unknown", {})), False),
        ('{"type": "message", "payload": {"text": "hi"}}', False),
        ('{"actions": [], "note": 1}', False),
        ('{"actions": {}}', False),
        ('{"actions": [1]}', False),
        ('{"actions": [{"type": [], "payload": {}}]}', False),
        ("[" * 100_000, False),
        ("hello", False),
        ("", False),
    ],
)
def test_what_an_enforced_reply_looks_like(text: str, possible: bool) -> None:
    assert SCHEMA is not None
    assert could_be_enforced(text, SCHEMA) is possible


async def test_a_store_that_is_away_does_not_stop_the_engine(server: ModelServer) -> None:
    server.default = fake.refuse_response_format("json_schema")
    kv = MemoryStore()
    kv.away = True
    async with started(server, kv=kv) as engine:
        await engine.complete(request())
        await engine.complete(request())
    assert formats(server) == ["json_schema", "json_object", "json_object"]


async def test_what_did_not_work_is_tried_again_after_a_month(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.default = fake.refuse_response_format("json_schema")
    kv = MemoryStore()
    async with started(server, kv=kv) as engine:
        await engine.complete(request())
    monkeypatch.setattr(StillClock, "now_ms", lambda self: NOW_MS + REMEMBERED_MS - 1)
    async with started(server, kv=kv) as engine:
        assert not engine.capabilities.json_schema
    monkeypatch.setattr(StillClock, "now_ms", lambda self: NOW_MS + REMEMBERED_MS)
    async with started(server, kv=kv) as engine:
        assert engine.capabilities.json_schema


async def test_a_store_that_holds_nonsense_is_not_believed(server: ModelServer) -> None:
    kv = MemoryStore()
    async with started(server, kv=kv) as engine:
        server.queue(fake.refuse_response_format("json_schema"))
        await engine.complete(request())
    (key,) = kv.values
    for nonsense in ("7", '["json_schema"]', '{"unusable": 7}', '{"unusable": ["json_schema"], "until_ms": "x"}'):
        kv.values[key] = nonsense
        async with started(server, kv=kv) as again:
            assert again.capabilities.json_schema


# Replies


async def test_an_empty_reply_that_was_cut_off_is_a_reply(server: ModelServer) -> None:
    server.default = fake.reply(None, finish_reason="length")
    async with started(server) as engine:
        reply = await engine.complete(request())
    assert (reply.text, reply.finish_reason) == ("", "length")


async def test_content_in_parts_and_usage_that_is_missing(server: ModelServer) -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body = fake.completion(None, content=None, reasoning="why", finish_reason=None)
    body["choices"][0]["message"]["content"] = parts
    body["usage"] = {"prompt_tokens": "many"}
    del body["model"]
    server.default = fake.json_body(body)
    async with started(server) as engine:
        reply = await engine.complete(request())
    assert (reply.text, reply.reasoning, reply.finish_reason, reply.model) == ("ab", "why", "stop", "fake-1")
    assert reply.usage.prompt_tokens is None


async def test_a_refusal_is_refused(server: ModelServer) -> None:
    server.queue(
        fake.reply(None, refusal=f"I will not say {PROMPT_CANARY}"), fake.reply("", finish_reason="content_filter")
    )
    async with started(server) as engine:
        assert isinstance(await error_of(engine), EngineRefused)
        assert isinstance(await error_of(engine), EngineRefused)


NO_COMPLETIONS: list[Any] = [
    "a string",
    [],
    {},
    {"hello": "world"},
    {"choices": None},
    {"choices": "x"},
    {"choices": [{"text": "legacy"}]},
    {"choices": [{"message": "x"}]},
]


@pytest.mark.parametrize("behaviour", [fake.html(), *map(fake.json_body, NO_COMPLETIONS)])
async def test_what_is_no_completion_points_to_the_base_url(server: ModelServer, behaviour: Behaviour) -> None:
    server.default = behaviour
    async with started(server) as engine:
        error = await error_of(engine)
    assert isinstance(error, EngineUnavailable)
    assert not error.retryable
    assert "OPENAI_BASE_URL" in error.cure


@pytest.mark.parametrize("choices", [[], [None]])
async def test_no_choices_may_be_tried_again(server: ModelServer, choices: list[Any]) -> None:
    server.default = fake.json_body({**fake.completion("x"), "choices": choices})
    async with started(server) as engine:
        error = await error_of(engine)
    assert isinstance(error, EngineUnavailable)
    assert error.retryable


async def test_an_error_inside_a_success(server: ModelServer) -> None:
    server.queue(
        fake.json_body({"error": {"code": 401, "message": f"bad key {KEY}"}}),
        fake.json_body({"error": {"code": 503, "message": "busy"}}),
        fake.json_body({"error": {"message": "maximum context length is 4096 tokens"}}),
        fake.json_body({"error": "something"}),
    )
    async with started(server) as engine:
        errors = [await error_of(engine) for _ in range(4)]
    assert [(type(error), getattr(error, "retryable", None)) for error in errors] == [
        (EngineUnavailable, False),
        (EngineUnavailable, True),
        (EngineRefused, None),
        (EngineUnavailable, True),
    ]


# Failures


@pytest.mark.parametrize("code", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_what_may_be_tried_again(server: ModelServer, code: int) -> None:
    server.default = fake.status(code, f"overloaded {KEY} {PROMPT_CANARY}", headers={"Retry-After": "7"})
    async with started(server) as engine:
        error = await error_of(engine)
    assert isinstance(error, EngineUnavailable)
    assert error.retryable
    assert error.retry_after_s == 7
    assert str(code) in str(error)
    assert len(server.requests) == 1  # the SDK does not retry


@pytest.mark.parametrize(
    ("code", "error_code", "text", "cure"),
    [
        (401, "invalid_api_key", f"wrong key {KEY}", "OPENAI_API_KEY"),
        (402, None, "pay", "credit"),
        (403, None, "not allowed", "OPENAI_API_KEY"),
        (404, "model_not_found", "no", "OPENAI_MODEL"),
        (404, None, 'model "x" not found, try pulling it first', "OPENAI_MODEL"),
        (404, None, "not found", "OPENAI_BASE_URL"),
        (405, None, "method not allowed", "OPENAI_BASE_URL"),
        (429, "insufficient_quota", "no credit", "credit"),
    ],
)
async def test_what_only_a_person_can_mend(
    server: ModelServer, code: int, error_code: str | None, text: str, cure: str
) -> None:
    server.default = fake.status(code, text, error_code=error_code)
    async with started(server) as engine:
        error = await error_of(engine)
    assert isinstance(error, EngineUnavailable)
    assert not error.retryable
    assert cure in error.cure


@pytest.mark.parametrize(
    ("code", "error_code", "text", "says"),
    [
        (400, "context_length_exceeded", "no", "too long"),
        (413, None, "no", "too long"),
        (400, "content_filter", "no", "content"),
        (451, None, "no", "451"),
    ],
)
async def test_what_asking_again_does_not_mend(
    server: ModelServer, code: int, error_code: str | None, text: str, says: str
) -> None:
    server.default = fake.status(code, f"{text} {PROMPT_CANARY}", error_code=error_code)
    async with started(server) as engine:
        error = await error_of(engine)
    assert isinstance(error, EngineRefused)
    assert says in str(error)


async def test_a_setting_that_the_model_refuses_is_named(server: ModelServer) -> None:
    server.default = fake.status(400, "no", param="temperature", error_code="unsupported_value")
    async with started(server, temperature=0.1) as engine:
        error = await error_of(engine)
    assert "temperature" in error.cure
    assert "unsupported_value" in str(error)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("key", [KEY, "canarykey"])
async def test_a_key_that_is_quoted_back_is_not_passed_on(server: ModelServer, code: int, key: str) -> None:
    server.default = fake.echo_key(code)
    async with started(server, api_key=key) as engine:
        error = await error_of(engine)
        context = engine.context
    assert key not in f"{error!r} {error} {error.cure}"
    assert isinstance(context, Context)
    assert key not in str(context.logged)


@pytest.mark.parametrize("quoted", [f"near {PROMPT_CANARY}", f"{KEY[:7]}...{KEY[-4:]}", "x" * 500])
async def test_only_plain_words_of_an_error_are_passed_on(server: ModelServer, quoted: str) -> None:
    server.default = fake.status(429, quoted, error_code=quoted, param=quoted)
    async with started(server) as engine:
        error = await error_of(engine)
    assert quoted not in str(error)


async def test_a_redirect_is_not_followed(server: ModelServer) -> None:
    async with ModelServer() as elsewhere:
        server.default = fake.json_body({}, code=307, headers={"Location": f"{elsewhere.base_url}/chat/completions"})
        async with started(server) as engine:
            error = await error_of(engine)
        assert not elsewhere.requests
    assert isinstance(error, EngineUnavailable)
    assert "OPENAI_BASE_URL" in error.cure


HEADERS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"retry-after": "3"}, 3.0),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after": "-3"}, 0.0),
    ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
    ({"retry-after": "Sun, 17 Mar 2030 17:47:10 GMT"}, 30.0),
    ({"retry-after": "Sun, 17 Mar 2030 17:46:10 GMT"}, 0.0),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "1e999"}, None),
    ({"retry-after": "Sun, 17 Mar 99999 17:46:10 GMT"}, None),
]


@pytest.mark.parametrize(("headers", "seconds"), HEADERS)
def test_every_form_of_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, now_ms=NOW_MS) == seconds


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"null", b"[1]", b'{"error": null}', b'{"error": {"code": 7}}'])
def test_any_body_of_an_error_is_survived(body: bytes) -> None:
    for code in (400, 404, 500):
        answer = Answer(status=code, headers={}, body=body)
        assert str(code) in str(failure(answer, place="here", key=KEY, now_ms=0))


async def test_a_server_that_is_not_there(server: ModelServer) -> None:
    async with started(server, base_url="http://127.0.0.1:9/v1") as engine:
        error = await error_of(engine)
        health = await engine.health()
    assert isinstance(error, EngineUnavailable)
    assert error.retryable
    assert "127.0.0.1:9" in str(error)
    assert not health.ok


async def test_a_reply_that_breaks_off(server: ModelServer) -> None:
    server.default = fake.truncated()
    async with started(server) as engine:
        error = await error_of(engine)
    assert isinstance(error, EngineUnavailable)
    assert error.retryable


async def test_a_server_that_sends_nothing_in_time(server: ModelServer) -> None:
    server.default = fake.hang()
    async with started(server) as engine:
        error = await error_of(engine, request(timeout_s=0.1))
    assert isinstance(error, EngineTimeout)


@pytest.mark.parametrize("behaviour", [fake.hang(), fake.drip()])
async def test_a_call_that_is_given_up_leaves_nothing_behind(server: ModelServer, behaviour: Behaviour) -> None:
    async with started(server) as engine:
        await engine.complete(request())
        tasks = asyncio.all_tasks()
        server.queue(behaviour)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await engine.complete(request())
        for _ in range(100):
            if server.cancelled:
                break
            await asyncio.sleep(0.01)
        assert server.cancelled == 1  # the server saw the connection go
        assert not {task for task in asyncio.all_tasks() - tasks if "RequestHandler" not in str(task)}
        assert (await engine.complete(request())).text == fake.message("ok")


async def test_stopping_leaves_no_connection_open(server: ModelServer) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        async with started(server) as engine:
            await engine.complete(request())
        await engine.stop()
        await asyncio.sleep(0)
        del engine
        gc.collect()
    assert not [warning for warning in caught if warning.category is ResourceWarning]


SIZE = MAX_REPLY_BYTES + 1


@pytest.mark.parametrize(
    "behaviour", [fake.huge(SIZE), fake.huge(SIZE, announce=False), fake.huge(4 * SIZE, gzip=True)]
)
async def test_a_huge_reply_is_not_taken_in(server: ModelServer, behaviour: Behaviour) -> None:
    server.queue(behaviour)
    async with started(server) as engine:
        error = await error_of(engine)
        assert isinstance(error, EngineRefused)
        assert "too large" in str(error)
        assert (await engine.complete(request())).text == fake.message("ok")


async def test_the_huge_body_of_an_error_does_not_hide_its_status(server: ModelServer) -> None:
    server.default = fake.huge(SIZE, code=503)
    async with started(server) as engine:
        error = await error_of(engine)
    assert isinstance(error, EngineUnavailable)
    assert "503" in str(error)


async def test_a_compressed_reply_is_read(server: ModelServer) -> None:
    async def compressed(web_request: Any, seen: Any) -> Any:
        response: Any = await fake.reply(STRICT_REPLY)(web_request, seen)
        response.enable_compression(force=ContentCoding.gzip)
        return response

    server.default = compressed
    async with started(server) as engine:
        assert (await engine.complete(request())).text == STRICT_REPLY


async def test_connections_are_reused(server: ModelServer) -> None:
    async with started(server) as engine:
        for behaviour in [fake.reply("x"), fake.status(500), fake.html(), fake.status(429), fake.reply("x")]:
            server.queue(behaviour)
            try:
                await engine.complete(request(response_schema=None))
            except EngineError as error:
                assert_tells_nothing(error)
        assert server.connections == 1
        await asyncio.gather(*(engine.complete(request()) for _ in range(10)))
        before = server.connections
        await asyncio.gather(*(engine.complete(request()) for _ in range(10)))
        assert server.connections == before


# Configuration, models, health


@pytest.mark.parametrize(
    ("settings", "ready"),
    [
        ({}, False),
        ({"api_key": "", "base_url": "  "}, False),
        ({"model": "m"}, False),
        ({"api_key": "k"}, True),
        ({"base_url": "http://localhost:11434/v1"}, True),
    ],
)
def test_what_is_enough_configuration(settings: dict[str, Any], ready: bool) -> None:
    missing = OpenAIEngine.configured(OpenAIEngine.Config(**settings))
    assert (missing == "") is ready
    assert ready or ("OPENAI_API_KEY" in missing and "OPENAI_BASE_URL" in missing)


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "localhost:11434"},
        {"base_url": "ftp://host/v1"},
        {"base_url": "http://"},
        {"base_url": "http://host:port/v1"},
        {"base_url": f"http://user:{KEY}@host/v1"},
        {"api_key": f"{KEY}\nX-Injected: 1"},
        {"api_key": f"{KEY}é"},
        {"temperature": 3},
        {"max_output_tokens": 0},
        {"mode": "xml"},
    ],
)
def test_what_is_no_configuration(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenAIEngine.Config(**settings)
    assert KEY not in str(caught.value)


def test_the_key_is_in_no_repr() -> None:
    config = OpenAIEngine.Config(api_key=SecretStr(KEY))
    assert KEY not in repr(config)
    assert KEY not in str(config.model_dump())


def test_the_default_model() -> None:
    assert OpenAIConfig(api_key=SecretStr(KEY)).known_model == OPENAI_DEFAULT_MODEL
    assert OpenAIConfig(base_url="https://api.openai.com/v1").known_model == OPENAI_DEFAULT_MODEL
    assert OpenAIConfig(base_url="http://localhost/v1").known_model == ""
    assert OpenAIConfig(base_url="http://localhost/v1", model=" llama ").known_model == "llama"


async def test_the_servers_first_model_is_taken_and_kept(server: ModelServer) -> None:
    server.models = ("first", "second")
    async with started(server, model=None) as engine:
        assert engine.model == ""
        await engine.complete(request())
        await engine.complete(request())
        assert engine.model == "first"
        assert server.model_lists == 1
        assert [seen.body["model"] for seen in server.requests] == ["first", "first"]
        server.queue(fake.status(404, "model not found"))
        server.models = ("second",)
        await error_of(engine)
        await engine.complete(request())
        assert engine.model == "second"


async def test_a_server_without_models_wants_one_to_be_set(server: ModelServer) -> None:
    server.models = ()
    async with started(server, model=None) as engine:
        error = await error_of(engine)
    assert "OPENAI_MODEL" in error.cure


@pytest.mark.parametrize(
    ("behaviour", "listed", "healthy"),
    [
        (None, ["fake-1"], True),
        (fake.status(404), [], True),
        (fake.status(401), [], False),
        (fake.html(), [], False),
        (fake.json_body({"data": None}), [], False),
        (fake.json_body({"data": [{"id": "a"}, {"id": 1}, "b"]}), ["a"], True),
        (fake.huge(SIZE), [], False),
        (fake.echo_key(), [], False),
    ],
)
async def test_models_and_health(
    server: ModelServer, behaviour: Behaviour | None, listed: list[str], healthy: bool
) -> None:
    server.models_behaviour = behaviour
    async with started(server) as engine:
        assert await engine.models() == listed
        health = await engine.health()
        context = engine.context
    assert health.ok is healthy
    assert isinstance(context, Context)
    assert KEY not in f"{health} {context.logged}"


@pytest.mark.parametrize("behaviour", [fake.hang(), fake.drip()])
async def test_health_is_bounded(server: ModelServer, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.openai.engine.HEALTH_TIMEOUT_S", 0.15)
    server.models_behaviour = behaviour
    async with started(server) as engine:
        health = await engine.health()
    assert not health.ok


async def test_an_engine_that_is_not_started_says_so(server: ModelServer) -> None:
    async with started(server) as engine:
        await engine.start()  # starting twice is starting once
        await engine.complete(request())
    assert isinstance(await error_of(engine), EngineUnavailable)
    assert await engine.models() == []
    assert not (await engine.health()).ok
    await engine.stop()


def test_the_sdk_is_not_imported_with_the_module() -> None:
    assert PLUGIN_CLASS is OpenAIEngine
    program = "import sys, engines.openai; print([m for m in ('openai', 'httpx2', 'aiohttp') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert result.stdout.strip() == "[]"


@pytest.fixture
def program() -> Iterator[Callable[[], int]]:
    """Start the model server as a program and return its port."""
    processes: list[subprocess.Popen[str]] = []

    def start() -> int:
        command = [sys.executable, "-m", "tests.support.model_server", "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})
        processes.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline())

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=10)


async def test_the_model_server_as_a_program(program: Callable[[], int], server: ModelServer) -> None:
    port = await asyncio.to_thread(program)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(started(server, base_url=f"http://127.0.0.1:{port}/v1"))
        assert (await engine.complete(request())).text == fake.message("ok")
