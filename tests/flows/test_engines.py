"""The model over HTTP: how it is held to the format, what its failures cost, and what is written down of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

import core.testing
from core.contracts.engine import EngineReply
from core.contracts.errors import EngineUnavailable
from core.services.clock import SystemClock
from core.settings import ComponentTable
from core.testing import RunningApp, ScriptedEngine, running_app
from tests.support import model_server as model
from tests.support.model_server import ModelServer

KEY = "sk-test-0123456789abcdef"


@asynccontextmanager
async def talking_to(
    server: ModelServer, *, mode: str = "auto", chain: tuple[str, ...] = ("openai",), **settings: Any
) -> AsyncIterator[RunningApp]:
    """Run an app whose engine is the server."""
    given = {
        "openai_base_url": server.base_url,
        "openai_api_key": SecretStr(KEY),
        "openai_model": "fake-1",
        "engine_deadline_s": 20.0,
        "components": {"engines": {"openai": ComponentTable(values={"mode": mode})}},
        **settings,
    }
    async with running_app(clock=SystemClock(), chain=chain, **given) as kit:
        yield kit


async def test_an_engine_that_is_away_is_warned_of_once() -> None:
    away = EngineUnavailable("It cannot be reached.", retry_after_s=0)
    engine = ScriptedEngine(*[away] * 7, otherwise=core.testing.message("back"))
    with capture_logs() as logs:
        async with running_app(engine=engine, clock=SystemClock()) as kit:
            for _ in range(2):
                await kit.interface.ask("hello")
    told = [(line["log_level"], line["event"]) for line in logs if line.get("engine") and "answer" in line["event"]]
    assert [event for level, event in told if level == "warning"] == ["the engine did not answer"]
    assert told[-1] == ("info", "the engine answers again")
    assert next(line["failures"] for line in logs if "again" in line["event"]) == 6


@pytest.mark.parametrize(
    ("mode", "format_"), [("json_schema", "json_schema"), ("json_object", "json_object"), ("prompt", None)]
)
async def test_each_way_of_holding_a_model_to_the_format(mode: str, format_: str | None) -> None:
    async with (
        ModelServer(model.reply(model.actions(("roll_dice", {"sides": 6})))) as server,
        talking_to(server, mode=mode, max_steps=1) as kit,
    ):
        await kit.interface.ask("roll")
        body = server.requests[0].body
        assert body.get("response_format", {}).get("type") == format_
        system = body["messages"][0]["content"]
        fields = "another chat: interface:chat_id"
        assert (fields in system) is (mode != "json_schema"), "field descriptions are sent once"
        assert (await kit.rows("SELECT status FROM ledger"))[0]["status"] == "done"


async def test_a_server_that_takes_no_schema_is_asked_otherwise_from_then_on() -> None:
    refusing = model.refuse_response_format("json_schema", then=model.reply(model.message("ok")))
    async with ModelServer(refusing) as server, talking_to(server) as kit:
        assert await kit.interface.ask("one") == ["ok"]
        assert await kit.interface.ask("two") == ["ok"]
        kinds = [seen.body["response_format"]["type"] for seen in server.requests]
        assert kinds == ["json_schema", "json_object", "json_object"]


async def test_a_429_is_waited_out_as_the_server_asks() -> None:
    async with ModelServer() as server, talking_to(server) as kit:
        server.queue(model.status(429, headers={"Retry-After": "0.4"}), model.reply(model.message("now")))
        began = time.monotonic()
        assert await kit.interface.ask("hi") == ["now"]
        assert 0.4 <= time.monotonic() - began < 3


async def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    async with (
        ModelServer(model.status(429, headers={"Retry-After": "3600"})) as server,
        talking_to(server, engine_deadline_s=2.0) as kit,
    ):
        began = time.monotonic()
        (sentence,) = await kit.interface.ask("hi")
        assert time.monotonic() - began < 2
        assert "429" in sentence


async def test_a_500_is_tried_again() -> None:
    async with ModelServer() as server, talking_to(server) as kit:
        server.queue(model.status(500), model.reply(model.message("fine")))
        assert await kit.interface.ask("hi") == ["fine"]
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(model.hang(), id="hanging"),
        pytest.param(model.drip(), id="dripping"),
        pytest.param(model.html(), id="a web page"),
        pytest.param(model.truncated(), id="truncated"),
        pytest.param(model.status(401), id="wrong key"),
        pytest.param(model.echo_key(), id="a server that quotes the key"),
        pytest.param(model.status(400), id="refused"),
    ],
)
async def test_a_model_that_gives_no_reply_ends_in_a_sentence_in_time(behaviour: model.Behaviour) -> None:
    async with ModelServer(behaviour) as server, talking_to(server, engine_deadline_s=1.0) as kit:
        began = time.monotonic()
        (sentence,) = await kit.interface.ask("hi")
        assert time.monotonic() - began < 1.0 + 5
        assert sentence.startswith("I could not get an answer from the model. openai: ")
        assert (await kit.rows("SELECT state FROM turns"))[0]["state"] == "error"


@pytest.mark.parametrize(
    "behaviour",
    [pytest.param(model.hang(), id="hanging"), pytest.param(model.status(401), id="refusing")],
)
async def test_the_next_engine_of_the_chain_answers(behaviour: model.Behaviour) -> None:
    async with (
        ModelServer(behaviour) as server,
        talking_to(server, chain=("openai", "offline"), engine_deadline_s=2.0) as kit,
    ):
        await kit.interface.ask("roll a d6")
        rows = await kit.rows("SELECT action, status FROM ledger ORDER BY id")
        assert ("roll_dice", "done") in [(row["action"], row["status"]) for row in rows]
        assert (await kit.rows("SELECT engine FROM replies"))[0]["engine"] == "offline"
        assert kit.interface.ends[0].result == "complete"


async def test_all_engines_failing_names_each_within_the_deadline() -> None:
    async with (
        ModelServer(model.hang()) as server,
        talking_to(server, chain=("openai", "scripted"), engine_deadline_s=1.0) as kit,
    ):
        began = time.monotonic()
        (sentence,) = await kit.interface.ask("hi")
        assert time.monotonic() - began < 1.0 + 5
        assert "openai:" in sentence
        assert "scripted:" in sentence


async def test_usage_is_recorded_with_what_came_from_the_cache() -> None:
    counted = model.reply(model.message("ok"), prompt_tokens=900, cached_tokens=512, completion_tokens=9)
    async with ModelServer(counted) as server, talking_to(server) as kit:
        await kit.interface.ask("hi")
        (row,) = await kit.rows(
            "SELECT engine, model, prompt_tokens, cached_tokens, completion_tokens, finish_reason, prompt_bytes "
            "FROM replies"
        )
        size = row.pop("prompt_bytes")
        assert row == {
            "engine": "openai",
            "model": "fake-1",
            "prompt_tokens": 900,
            "cached_tokens": 512,
            "completion_tokens": 9,
            "finish_reason": "stop",
        }
        assert 500 < size < len(server.requests[0].raw)
        (status,) = await kit.interface.ask("/status")
        assert "900 tokens in (512 from the cache), 9 out" in status


async def test_the_key_stands_nowhere(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    told = model.actions(("message", {"text": f"The key is {KEY}."}))
    async with ModelServer() as server, talking_to(server, engine_deadline_s=1.0) as kit:
        server.queue(model.echo_key(401), model.echo_key(500), model.echo_key(500), model.reply(told))
        await kit.interface.ask("hi")
        await kit.interface.ask("and again")
        assert any(KEY in seen.headers["authorization"] for seen in server.requests), "the server does get it"
        assert not any(KEY.encode() in seen.raw for seen in server.requests)
        for table in ("outbox", "ledger", "replies", "turns", "messages", "kv", "approvals"):
            for row in await kit.rows(f"SELECT * FROM {table}"):
                assert KEY not in str(row), f"in {table}"
        assert not any(KEY in text for text in kit.interface.texts())
    output = capsys.readouterr()
    assert KEY not in caplog.text + output.out + output.err


async def test_chats_go_on_beside_one_whose_model_hangs() -> None:
    held = asyncio.Event()

    async def slow(request: Any, seen: model.SeenRequest) -> Any:
        if "slow" in seen.raw.decode():
            await held.wait()
        return await model.reply(model.message("ok"))(request, seen)

    async with ModelServer(slow) as server, talking_to(server) as kit:
        await kit.interface.say("slow please", chat_id="one")
        assert await kit.interface.ask("quick please", chat_id="two") == ["ok"]
        assert kit.interface.texts("one") == []
        held.set()
        assert await kit.interface.replies(chat_id="one") == ["ok"]


async def test_an_engine_whose_start_hangs_leaves_time_for_the_next() -> None:
    class Frozen(ScriptedEngine):
        name = "frozen"

        async def start(self) -> None:
            await asyncio.Event().wait()

    async with running_app(
        engine=ScriptedEngine(model.message("I am here.")),
        engines=[Frozen()],
        chain=("frozen", "scripted"),
        engine_deadline_s=1.0,
        clock=SystemClock(),
    ) as kit:
        began = time.monotonic()
        assert await kit.interface.ask("hi") == ["I am here."]
        assert time.monotonic() - began < 1.0 + 5


@pytest.mark.parametrize("nonsense", [None, "just text", EngineReply(text=None)])  # type: ignore[arg-type]
async def test_an_engine_that_breaks_its_contract_is_a_failed_engine(nonsense: Any) -> None:
    class Odd(ScriptedEngine):
        name = "odd"

        async def complete(self, request: Any) -> Any:
            return nonsense

    engine = ScriptedEngine(model.message("I am here."))
    async with running_app(engine=engine, engines=[Odd()], chain=("odd", "scripted")) as kit:
        assert await kit.interface.ask("hi") == ["I am here."]


async def test_an_engine_that_raises_anything_is_a_failed_engine() -> None:
    async with running_app(engine=ScriptedEngine(KeyError("oops"))) as kit:
        (sentence,) = await kit.interface.ask("hi")
        assert "scripted: It failed (KeyError: 'oops')." in sentence
