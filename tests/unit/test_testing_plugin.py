"""What plugin authors test one plugin with does what it says."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest
from pydantic import BaseModel, Field
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from core.ai_plugin_base import ActionContext, ActionFailed, AIPluginBase, Event, TurnContext, action, every, hook
from core.contracts.errors import EngineUnavailable
from core.contracts.inputs import Address, Principal, Role
from core.contracts.messages import Said
from core.testing import ScriptedEngine, alone, check_plugin, message, running_app, turn

metadata = MetaData()
hay = Table("hay_bale", metadata, Column("id", Integer, primary_key=True), Column("text", String(50)))


class Barn(AIPluginBase):
    """Keeps hay."""

    class Config(BaseModel):
        most: int = 3

    async def start(self) -> None:
        await self.context.database.transact(metadata.create_all)
        self.looked = 0

    @action(effect="local")
    async def store_hay(
        self, ctx: ActionContext, text: Annotated[str, Field(max_length=20, description="what is stored")]
    ) -> str:
        """Store hay."""
        if text == "wet":
            raise ActionFailed("Wet hay is not stored.")
        ctx.write(lambda conn: conn.execute(insert(hay), {"text": f"{text} for {ctx.principal}"}))
        ctx.send("Stored.")
        ctx.progress("storing")
        return "yes"

    @action(effect="read", permission="trainer")
    async def look(self) -> list[str]:
        """Look at the hay."""
        return await self.context.database.read(lambda conn: list(conn.execute(select(hay.c.text)).scalars()))

    @action(effect="read")
    async def cheat(self, ctx: ActionContext) -> str:
        """Write although it reads."""
        ctx.send("never")
        return "no"

    @action(effect="read")
    async def rest(self) -> str:
        """Rest for a minute."""
        await self.context.clock.sleep(60)
        return "rested"

    @every(minutes=5)
    async def glance(self) -> None:
        self.looked += self.config.most

    @hook("gather_context")
    async def tell(self, turn: TurnContext) -> str:
        return f"{turn.role} said {turn.text}"


class Busy(AIPluginBase):
    """Uses all that there is as it starts."""

    async def start(self) -> None:
        self.heard: list[Said] = []
        self.subscription = self.context.messages.subscribe(self.heard.append)
        await self.context.messages.note(Address("test", "bob"), "I am there.")
        try:
            self.answer = (await self.context.engines.ask("How are you?")).text
        except EngineUnavailable as error:
            self.answer = str(error)
        self.context.events.subscribe("lamp.*", self.see)
        self.context.spawn(self.context.clock.sleep(5), "waiting")
        await self.context.kv.set("started", True)

    async def see(self, event: Event) -> None:
        """See a lamp."""


class Broken(AIPluginBase):
    """Does not start."""

    async def start(self) -> None:
        raise OSError("no barn")


async def test_a_local_action_writes_and_sends() -> None:
    async with alone(Barn) as barn:
        bob = Principal("test", "bob")
        assert await barn.act("store_hay", {"text": "dry"}, principal=bob) == "yes"
        assert await barn.act("look") == ["dry for test:bob"]
        assert barn.sent == ["Stored."]
        assert barn.done[0].shown == ["storing"]


async def test_what_is_refused() -> None:
    async with alone(Barn) as barn:
        with pytest.raises(ValueError, match="at most 20 characters"):
            await barn.act("store_hay", {"text": "x" * 21})
        with pytest.raises(ValueError, match="no action burn"):
            await barn.act("burn")
        with pytest.raises(ActionFailed, match="Wet hay"):
            await barn.act("store_hay", {"text": "wet"})
        with pytest.raises(ActionFailed, match="cannot write or send"):
            await barn.act("cheat")
        assert barn.done == []


async def test_the_clock_jobs_hooks_and_configuration() -> None:
    async with alone(Barn, config={"most": 7}) as barn:
        resting = asyncio.create_task(barn.act("rest"))
        for _ in range(20):
            await asyncio.sleep(0)
        await barn.advance(60)
        assert await resting == "rested"
        await barn.run_job("glance")
        assert barn.plugin.looked == 7
        assert await barn.plugin.tell(turn("hello", role=Role.GUEST)) == "guest said hello"


async def test_a_start_has_all_that_there_is_in_an_app() -> None:
    async with alone(Busy, engine=ScriptedEngine("Well.")) as busy:
        assert busy.plugin.answer == "Well."
        assert busy.engine.last.messages[0].content == "How are you?"
        assert await busy.context.kv.get("started") is True
    async with running_app(plugins=[Busy], engine=ScriptedEngine("Well.", message("Hello."))) as run:
        await run.interface.ask("Hi")
        plugin = run.app.registry.get("plugin", "busy")
        assert plugin is not None
        assert plugin.instance.answer == "Well."
        assert [said.text for said in plugin.instance.heard] == ["Hi", "Hello."]
    check_plugin(Busy)


async def test_a_plugin_that_does_not_start_or_load_is_told() -> None:
    with pytest.raises(AssertionError, match=r"broken is failed \(start\): OSError: no barn"):
        async with alone(Broken):
            pytest.fail("it has started")
    with pytest.raises(AssertionError, match=r"barn is failed \(configuration\).*most"):
        async with alone(Barn, config={"most": "many"}):
            pytest.fail("it has started")


async def test_one_action_on_the_whole_path() -> None:
    async with running_app(plugins=[Barn], trainer_ids=frozenset({"test:trainer"}), access="open") as run:
        done = await run.act("store_hay", {"text": "dry"})
        assert (done.status, done.output) == ("done", "yes")
        assert run.interface.texts() == ["Stored."]
        assert (await run.act("look")).output == ["dry for test:trainer"]
        assert (await run.act("look", user_id="stranger")).status == "denied"
        failed = await run.act("store_hay", {"text": "wet"})
        assert failed.status == "failed"
        assert "Wet hay" in failed.reason
        refused = await run.act("store_hay", {"text": 5})
        assert refused.status == "refused"
        assert "text is 5" in refused.reason


def test_the_rules_are_checked_by_class() -> None:
    with pytest.raises(AssertionError, match="The first start failed: OSError: no barn") as told:
        check_plugin(Broken)
    assert "start: " in str(told.value)


def test_a_class_inside_a_function_cannot_be_checked() -> None:
    class Hidden(AIPluginBase):
        """Cannot be imported again."""

    with pytest.raises(Exception, match="made inside a function"):
        check_plugin(Hidden)
