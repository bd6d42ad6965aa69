"""What a prompt costs: small, with a stable beginning, inside a budget however long the conversation gets."""

from __future__ import annotations

import json
from typing import Any

from pydantic import SecretStr

from core.contracts.engine import EngineCapabilities, EngineReply, EngineRequest, Usage
from core.services.clock import SystemClock
from core.settings import PromptSettings
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.support import model_server as model
from tests.support.model_server import ModelServer

SMALL = PromptSettings(history_tokens=300, summary_tokens=100)


def size(request: EngineRequest) -> int:
    return len(json.dumps(request.chat(schema_enforced=False)).encode())


def served(server: ModelServer) -> dict[str, Any]:
    """Return the settings for an app whose model is the server."""
    return {
        "clock": SystemClock(),
        "chain": ("openai",),
        "openai_base_url": server.base_url,
        "openai_api_key": SecretStr("sk-0123456789"),
        "openai_model": "fake-1",
    }


async def test_a_ping_costs_less_than_four_kilobytes_schema_included() -> None:
    async with ModelServer() as server, running_app(**served(server)) as kit:
        await kit.interface.ask("ping")
        request = server.requests[0]
        assert request.body["response_format"]["type"] == "json_schema"
        assert len(request.raw) < 4096, f"{len(request.raw)} bytes"


async def test_the_beginning_of_a_prompt_is_stable_and_history_only_appended() -> None:
    strict = model.reply(model.actions(("message", {"text": "ok", "to": None})))  # as a server that enforces it
    async with ModelServer(strict) as server, running_app(**served(server)) as kit:
        for text in ("one", "two", "three"):
            await kit.interface.ask(text)
        first, second, third = (seen.body for seen in server.requests)
        assert first["messages"][0] == second["messages"][0] == third["messages"][0]
        assert first["response_format"] == second["response_format"] == third["response_format"]
    async with running_app(engine=ScriptedEngine(otherwise=message("ok"))) as kit:
        for text in ("one", "two", "three"):
            await kit.interface.ask(text)
        histories = [
            [m.content for m in request.messages if m.source in ("history", "assistant")]
            for request in kit.engine.requests
        ]
        assert histories[0] == []
        assert histories[2][: len(histories[1])] == histories[1]


async def talk(kit: RunningApp, turns: int) -> list[int]:
    """Talk for so many turns; return the size of each prompt."""
    sizes = []
    for number in range(turns):
        await kit.interface.ask(f"message {number} " + "x" * 60)
        asked = [r for r in kit.engine.requests if r.actions]
        sizes.append(size(asked[-1]))
    return sizes


async def test_a_long_conversation_costs_no_more_and_is_summarized_by_the_model() -> None:
    def answer(request: EngineRequest) -> str:
        if not request.actions:
            return "They counted messages."
        return message("ok " + "y" * 60)

    async with running_app(engine=ScriptedEngine(otherwise=answer), prompt=SMALL) as kit:
        sizes = await talk(kit, 40)
        assert max(sizes[20:]) < 1.2 * max(sizes[:20])
        assert any("They counted messages." in m.content for m in kit.engine.last.messages)
        (session,) = await kit.rows("SELECT summary, summary_tainted, summarized_to FROM sessions")
        assert session["summary"] == "They counted messages."
        assert not session["summary_tainted"]
        assert session["summarized_to"] > 0
        rows = await kit.rows("SELECT count(*) AS n FROM messages")
        assert rows[0]["n"] == 80, "what is summarized is still there"


async def test_a_conversation_of_many_short_rows_is_summarized_too() -> None:
    def answer(request: EngineRequest) -> str:
        return "Short talk." if not request.actions else message("k")

    async with running_app(engine=ScriptedEngine(otherwise=answer)) as kit:
        for _ in range(105):
            await kit.interface.ask("p")
        (session,) = await kit.rows("SELECT summary FROM sessions")
        assert session["summary"] == "Short talk."


async def test_what_cannot_be_summarized_now_is_kept_for_later() -> None:
    def answer(request: EngineRequest) -> str:
        return "" if not request.actions else message("ok " + "y" * 60)

    async with running_app(engine=ScriptedEngine(otherwise=answer), prompt=SMALL) as kit:
        await talk(kit, 15)
        (session,) = await kit.rows("SELECT summary, summarized_to FROM sessions")
        assert session == {"summary": "", "summarized_to": 0}


async def test_an_engine_that_writes_nothing_of_its_own_has_the_history_cut() -> None:
    engine = ScriptedEngine(
        otherwise=message("ok " + "y" * 60), capabilities=EngineCapabilities(language_model=False)
    )
    async with running_app(engine=engine, prompt=SMALL) as kit:
        sizes = await talk(kit, 40)
        assert max(sizes[20:]) < 1.2 * max(sizes[:20])
        (session,) = await kit.rows("SELECT summary, summarized_to FROM sessions")
        assert session["summary"] == ""
        assert session["summarized_to"] > 0
        assert all(request.actions for request in engine.requests)


async def test_the_summary_of_a_group_is_tainted() -> None:
    def answer(request: EngineRequest) -> str:
        return "They talked." if not request.actions else message("ok " + "y" * 60)

    async with running_app(engine=ScriptedEngine(otherwise=answer), prompt=SMALL) as kit:
        for number in range(20):
            await kit.interface.ask(f"message {number} " + "x" * 60, chat_id="group")
        (session,) = await kit.rows("SELECT summary, summary_tainted FROM sessions")
        assert session["summary"] == "They talked."
        assert session["summary_tainted"]


async def test_status_tells_the_shares_of_the_prompt() -> None:
    async with running_app(engine=ScriptedEngine(otherwise=message("ok"))) as kit:
        await kit.interface.ask("hello")
        (status,) = await kit.interface.ask("/status")
        for section in ("instructions", "catalogue", "history"):
            assert f"- {section}: " in status
        assert "**Engine** scripted, model scripted-1" in status
        assert "0 in the inbox, 0 in the outbox; 0 dead letters" in status


async def test_the_estimate_of_tokens_follows_what_the_server_counts() -> None:
    def dear(request: EngineRequest) -> EngineReply:
        sent = size(request)
        usage = Usage(prompt_tokens=sent // 2)
        return EngineReply(text=message("ok"), model="as-the-server-calls-it", usage=usage, prompt_bytes=sent)

    async with running_app(engine=ScriptedEngine(otherwise=dear)) as kit:
        before = kit.app.env.tokens.of_bytes(kit.engine.model, 1000)
        for _ in range(5):
            await kit.interface.ask("hello")
        after = kit.app.env.tokens.of_bytes(kit.engine.model, 1000)
        assert before == 270
        assert after == 500
