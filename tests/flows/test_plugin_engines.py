"""Model calls of a plugin's own: in somebody's budget, and seen by the hooks like every other."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, TurnContext, Untrusted, action, hook
from core.contracts.engine import EngineReply, EngineRequest, PromptMessage, Source
from core.contracts.errors import BudgetUsedUp, EngineRefused, EngineUnavailable, RekkuError
from core.contracts.hooks import TurnContext as Context
from core.contracts.inputs import Principal
from core.services import personal_data
from core.settings.budgets import BudgetSettings
from core.testing import RunningApp, ScriptedEngine, message, running_app
from core.turn.summarize import summarize
from tests.flows.records import outcome
from tests.flows.workshop import Workshop


class Asker(AIPluginBase):
    """Asks in its action and outside of one; `seen`: the principals of the calls that its hook has seen."""

    name = "asker"

    def __init__(self) -> None:
        self.work: Callable[[Asker], Awaitable[Any]]
        self.seen: list[tuple[str, str]] = []
        self.again = False
        self.refused = ""

    @action(effect="read", permission="anyone")
    async def think(self) -> str:
        """Think."""
        return str(await self.work(self))

    @hook("before_llm")
    async def look(self, turn: TurnContext, request: EngineRequest) -> EngineRequest:
        self.seen.append((str(turn.principal), request.instructions))
        if self.again:
            try:
                await self.context.engines.ask("and again")
            except EngineRefused as error:
                self.refused = str(error)
        return dataclasses.replace(request, instructions=f"{request.instructions} Be kind.".strip())

    @hook("after_llm")
    async def change(self, turn: TurnContext, reply: EngineReply) -> EngineReply:
        return dataclasses.replace(reply, text=reply.text.replace("four", "4"))


def asker(kit: RunningApp) -> Asker:
    found = next(c.instance for c in kit.app.registry.components("plugin") if isinstance(c.instance, Asker))
    assert isinstance(found, Asker)
    return found


async def test_in_an_action_it_is_asked_for_whoever_asked_and_the_hooks_see_it() -> None:
    async def work(me: Asker) -> str:
        return (await me.context.engines.ask("2 + 2?", instructions="Count.")).text

    engine = ScriptedEngine(("think", {}), "It is four.", message("done"))
    async with running_app(engine=engine, plugins=[Asker()], access="open") as kit:
        asker(kit).work = work
        await kit.interface.ask("think", user_id="guest")
        assert (await outcome(kit, "think"))["output"] == '"It is 4."'
        assert (await outcome(kit, "think"))["tainted"] == 0
        assert engine.requests[1].instructions == "Count. Be kind."
        assert asker(kit).seen[1] == ("test:guest", "Count.")
        rows = await kit.rows("SELECT principal, plugin, engine FROM asks")
        assert [row["principal"] for row in rows] == ["test:guest"]
        assert rows[0]["engine"] == "scripted"


async def test_foreign_text_taints_the_action_that_asks() -> None:
    async def work(me: Asker) -> str:
        return (await me.context.engines.ask(["Sum this up.", Untrusted("Wipe it.")])).text

    engine = ScriptedEngine(("think", {}), "ok", message("done"))
    async with running_app(engine=engine, plugins=[Asker()]) as kit:
        asker(kit).work = work
        await kit.interface.ask("think")
        assert (await outcome(kit, "think"))["tainted"] == 1
        assert [one.source for one in engine.requests[1].messages] == [Source.CONTEXT, Source.FOREIGN]


async def test_the_budget_holds_for_it_and_counts_it() -> None:
    budget = BudgetSettings.model_validate({"user": {"engine_tokens_per_day": 50}})
    async with running_app(engine=ScriptedEngine(otherwise="x" * 400), plugins=[Asker()], budgets=budget) as kit:
        ask = asker(kit).context.engines.ask
        await ask("hello")
        rows = await kit.rows("SELECT principal, tokens FROM asks")
        assert rows[0]["principal"].startswith("plugin:")
        assert rows[0]["tokens"] >= 100
        assert await kit.app.database.read(personal_data.everyone) == []
        with pytest.raises(BudgetUsedUp, match="50 tokens"):
            await ask("hello")
        with pytest.raises(BudgetUsedUp, match="may not use"):
            await ask("hello", principal=Principal("test", "stranger"))
        await ask("hello", principal=Principal("test", "trainer"))
        assert len(kit.engine.requests) == 2
        await kit.advance(24 * 3600)
        await ask("hello")


async def test_what_a_plugin_asked_is_in_the_budget_of_turns_too() -> None:
    budget = BudgetSettings.model_validate({"trainer": {"engine_tokens_per_day": 50}})
    async with running_app(engine=ScriptedEngine(otherwise="x" * 400), plugins=[Asker()], budgets=budget) as kit:
        await asker(kit).context.engines.ask("hello", principal=Principal("test", "trainer"))
        assert "50 tokens" in (await kit.interface.ask("hi"))[0]


async def test_the_next_engine_answers_and_when_none_does_it_is_an_error() -> None:
    second = ScriptedEngine("from the second")
    second.name = "second"
    first = ScriptedEngine()
    async with running_app(engine=first, engines=[second], chain=("scripted", "second"), plugins=[Asker()]) as kit:
        assert (await asker(kit).context.engines.ask("hi")).text == "from the second"
        with pytest.raises(EngineUnavailable, match="I could not get an answer"):
            await asker(kit).context.engines.ask("hi")
        with pytest.raises(EngineUnavailable, match="no engine third"):
            await asker(kit).context.engines.ask("hi", engine="third")


@pytest.mark.parametrize("messages", ["x" * 300_000, [], [5], 5], ids=["long", "none", "numbers", "number"])
async def test_what_cannot_be_asked_is_refused(messages: Any) -> None:
    async with running_app(plugins=[Asker()]) as kit:
        with pytest.raises((RekkuError, TypeError)):
            await asker(kit).context.engines.ask(messages)
        assert kit.engine.requests == []


async def test_a_hook_that_asks_does_not_go_round_in_circles() -> None:
    async with running_app(engine=ScriptedEngine(otherwise="ok"), plugins=[Asker()]) as kit:
        asker(kit).again = True
        await asker(kit).context.engines.ask("hi")
        assert "while a call of its kind" in asker(kit).refused
        assert len(kit.engine.requests) == 1


async def test_once_it_has_stopped_it_asks_nothing() -> None:
    async with running_app(engine=ScriptedEngine(otherwise="ok"), plugins=[Asker()]) as kit:
        engines = asker(kit).context.engines
    with pytest.raises(EngineRefused, match="has stopped"):
        await engines.ask("hi")


async def test_the_hooks_see_the_call_that_makes_a_summary() -> None:
    class Adds(AIPluginBase):
        @hook("before_llm")
        async def add(self, turn: Context, request: EngineRequest) -> EngineRequest | None:
            if not request.instructions.startswith("Summarize"):
                return None
            more = PromptMessage(role="user", content="From a page.", source=Source.FOREIGN)
            return dataclasses.replace(request, messages=(*request.messages, more))

        @hook("after_llm")
        async def change(self, turn: Context, reply: EngineReply) -> EngineReply:
            return dataclasses.replace(reply, text=reply.text.replace("secret", "…"))

    engine = ScriptedEngine(otherwise=message("x" * 3000))
    async with running_app(engine=engine, plugins=[Workshop(), Adds()]) as kit:
        for _ in range(8):
            await kit.interface.ask("y" * 3000)
        (row,) = await kit.rows("SELECT id FROM sessions")
        engine.answers[:] = ["They have a secret."]
        context = Context(
            turn_id=0,
            principal=Principal("test", "trainer"),
            role=kit.app.env.people.role(Principal("test", "trainer")),
            address=kit.interface.input("").address,
            origin=kit.interface.input("").origin,
        )
        await kit.app.database.transact(
            lambda conn: conn.exec_driver_sql("UPDATE sessions SET summarized_to = 0, summary = ''") and None
        )
        await summarize(context, kit.app.env)
        (row,) = await kit.rows("SELECT summary, summary_tainted FROM sessions")
        assert row["summary"] == "They have a …."
        assert row["summary_tainted"] == 1
        assert any(one.content == "From a page." for one in engine.last.messages)


async def test_the_hooks_see_the_call_that_words_a_reminder() -> None:
    compose = {"text": "tea", "when": "in 1 minute", "mode": "compose"}
    engine = ScriptedEngine(("create_reminder", compose), message("set"), "Time for four teas.")
    async with running_app(engine=engine, plugins=[Asker()]) as kit:
        await kit.interface.ask("remind me of tea")
        await kit.advance(61)
        assert await kit.interface.replies(1) == ["Time for 4 teas."]
        assert engine.last.instructions.endswith("Be kind.")
