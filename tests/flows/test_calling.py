"""Actions that a handler calls of another plugin: the same gate and ledger, and never twice."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import insert

from core.ai_plugin_base import ActionContext, ActionFailed, AIPluginBase, Block, TurnContext, action, hook
from core.contracts.actions import ActionEnvelope
from core.contracts.json import Json
from core.storage.tables import kv
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.flows.records import outcome, statuses
from tests.flows.workshop import Workshop


class Caller(AIPluginBase):
    """Does in each of its actions what the test has put into `work`; `got`: what that returned."""

    name = "caller"

    def __init__(self) -> None:
        self.work: Callable[[Caller], Awaitable[Any]] = lambda self: asyncio.sleep(0)
        self.got: Any = None

    async def call(self, action: str, plugin: str = "workshop", **payload: Any) -> Json:
        return await self.context.services.call_plugin(plugin, action, payload)

    @action(effect="read", permission="anyone")
    async def do_read(self) -> str:
        """Do something that only reads."""
        self.got = await self.work(self)
        return str(self.got)

    @action(effect="local", permission="anyone")
    async def do_local(self, ctx: ActionContext) -> str:
        """Do something that only writes."""
        self.got = await self.work(self)
        ctx.write(lambda conn: conn.execute(insert(kv), {"owner": "caller", "key": "own", "value": "1"}))
        return str(self.got)

    @action(effect="external", permission="anyone", timeout_s=0.2, reads_outside=False)
    async def do_external(self) -> str:
        """Do something in the world."""
        self.got = await self.work(self)
        return str(self.got)

    @action(effect="external", permission="anyone", timeout_s=30, reads_outside=False)
    async def do_at_length(self) -> str:
        """Do something in the world that takes its time."""
        self.got = await self.work(self)
        return str(self.got)

    @hook("gather_context")
    async def look(self, turn: TurnContext) -> str:
        try:
            await self.call("look", at="x")
        except ActionFailed as error:
            return str(error)
        return ""


@pytest.fixture
async def kit() -> AsyncIterator[RunningApp]:
    async with running_app(
        engine=ScriptedEngine(otherwise=message("ok")), plugins=[Workshop(), Caller()], access="open"
    ) as running:
        yield running


def plugin(kit: RunningApp, kind: type[Any]) -> Any:
    return next(c.instance for c in kit.app.registry.components("plugin") if isinstance(c.instance, kind))


async def do(kit: RunningApp, action: str, work: Callable[[Caller], Awaitable[Any]], **said: Any) -> Any:
    """Have the model ask for an action that does `work`; return what the work returned."""
    caller = plugin(kit, Caller)
    caller.work, caller.got = work, None
    kit.engine.then((action, {}))
    await kit.interface.ask("do it", **said)
    return caller.got


async def test_the_output_comes_back_and_a_row_is_written(kit: RunningApp) -> None:
    assert await do(kit, "do_read", lambda me: me.call("look", at="the sea")) == "the sea is blue"
    assert await statuses(kit) == [("do_read", "done"), ("look", "done"), ("message", "done")]
    rows = await kit.rows("SELECT principal, position FROM ledger WHERE action = 'look'")
    assert rows == [{"principal": "test:trainer", "position": 1000}]


async def test_the_same_twice_at_once_is_done_once(kit: RunningApp) -> None:
    async def twice(me: Caller) -> list[Any]:
        first = asyncio.ensure_future(me.call("wait"))
        await workshop.waiting.wait()
        told = await asyncio.gather(me.call("wait"), return_exceptions=True)
        workshop.gate.set()
        return [await first, *map(str, told), await me.call("wait")]

    workshop = plugin(kit, Workshop)
    got = await do(kit, "do_at_length", twice)
    assert workshop.done == ["wait"]
    assert got == ["waited", "wait is being done with this payload already.", "waited"]


async def test_outside_of_an_action_there_is_nobody_on_whose_behalf(kit: RunningApp) -> None:
    await kit.interface.ask("hello")
    assert any("outside of an action" in one.content for one in kit.engine.last.messages)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ({"action": "look"}, "at"),
        ({"action": "look", "at": 5}, "at"),
        ({"action": "look", "at": "x", "more": 1}, "more"),
        ({"action": "lok", "at": "x"}, "Did you mean look?"),
        ({"action": "look", "plugin": "message", "at": "x"}, "The plugin message has no action look."),
        (
            {"action": "look", "plugin": "workshp", "at": "x"},
            "no plugin workshp that has actions. Did you mean workshop?",
        ),
        ({"action": "press", "button": "red"}, "the red button is for show"),
        ({"action": "core_approve", "plugin": "core", "id": "x"}, "can only be typed"),
    ],
)
async def test_what_is_not_valid_does_not_run(kit: RunningApp, call: dict[str, Any], why: str) -> None:
    await do(kit, "do_external", lambda me: me.call(**call))
    failed = await outcome(kit, "do_external")
    assert failed["status"] == "failed"
    assert why in failed["reason"]
    assert plugin(kit, Workshop).done == []


async def test_it_has_the_rights_of_whoever_asked_and_no_more(kit: RunningApp) -> None:
    await do(kit, "do_external", lambda me: me.call("press", button="a"), user_id="guest")
    assert (await outcome(kit, "press"))["status"] == "denied"
    assert "for a user" in (await outcome(kit, "do_external"))["reason"]
    assert plugin(kit, Workshop).done == []
    await do(kit, "do_external", lambda me: me.call("press", button="a"))
    assert plugin(kit, Workshop).done == ["press a"]


async def test_what_would_have_to_be_approved_fails_and_says_so(kit: RunningApp) -> None:
    async def work(me: Caller) -> Json:
        await me.call("read_page", url="u")
        return await me.call("wipe", path="/")

    await do(kit, "do_external", work)
    failed = await outcome(kit, "do_external")
    assert "needs an approval" in failed["reason"]
    assert (await outcome(kit, "wipe"))["status"] == "denied"
    assert plugin(kit, Workshop).done == ["read_page u"]


async def test_what_it_reads_from_outside_taints_its_caller_and_the_turn(kit: RunningApp) -> None:
    await do(kit, "do_read", lambda me: me.call("quote_page"))
    assert (await outcome(kit, "do_read"))["tainted"] == 1
    kit.engine.then(("wipe", {"path": "/"}))
    await kit.interface.ask("wipe")
    assert (await outcome(kit, "wipe"))["status"] == "awaiting_approval"


@pytest.mark.parametrize(("caller", "called"), [("do_read", "note"), ("do_read", "press"), ("do_local", "press")])
async def test_it_touches_no_more_than_its_caller_has_declared(kit: RunningApp, caller: str, called: str) -> None:
    payload = {"text": "x"} if called == "note" else {"button": "a"}
    await do(kit, caller, lambda me: me.call(called, **payload))
    assert "Declare" in (await outcome(kit, caller))["reason"]
    assert plugin(kit, Workshop).done == []


async def notes(kit: RunningApp) -> list[str]:
    rows = await kit.rows("SELECT key FROM kv WHERE owner IN ('workshop', 'caller') ORDER BY key")
    return [row["key"] for row in rows]


async def test_writes_of_a_local_action_are_those_of_its_caller(kit: RunningApp) -> None:
    async def work(me: Caller) -> None:
        await me.call("note", text="milk")
        await me.call("message", plugin="message", text="noted for you")

    await do(kit, "do_local", work)
    assert await notes(kit) == ["milk", "own"]
    assert "noted for you" in kit.interface.texts()
    await kit.interface.ask("what did you say")
    assert any("noted for you" in one.content for one in kit.engine.last.messages)


async def test_a_local_caller_that_fails_keeps_nothing_of_what_it_called(kit: RunningApp) -> None:
    async def work(me: Caller) -> None:
        await me.call("note", text="milk")
        raise ActionFailed("no more")

    await do(kit, "do_local", work)
    assert await notes(kit) == []
    assert (await outcome(kit, "note"))["status"] == "failed"
    assert "Not kept" in (await outcome(kit, "note"))["reason"]


async def test_a_write_that_fails_fails_the_caller_as_a_whole(kit: RunningApp) -> None:
    async def work(me: Caller) -> None:
        await me.call("note", text="milk")
        await me.call("note_badly", text="bread")

    await do(kit, "do_local", work)
    assert await notes(kit) == []
    assert "the pencil broke" in (await outcome(kit, "do_local"))["reason"]
    assert "It is noted." not in kit.interface.texts()


async def test_in_an_external_action_each_write_stands_by_itself(kit: RunningApp) -> None:
    async def work(me: Caller) -> None:
        await me.call("note", text="milk")
        with pytest.raises(ActionFailed, match="the pencil broke"):
            await me.call("note_badly", text="bread")
        raise ActionFailed("no more")

    await do(kit, "do_external", work)
    assert await notes(kit) == ["milk"]
    assert (await outcome(kit, "note"))["status"] == "done"
    assert (await outcome(kit, "note_badly"))["status"] == "failed"


async def test_an_end_that_nobody_saw_is_told_whatever_the_caller_makes_of_it(kit: RunningApp) -> None:
    async def work(me: Caller) -> str:
        with pytest.raises(ActionFailed):
            await me.call("lose_the_line")
        return "all is well"

    await do(kit, "do_external", work)
    assert (await outcome(kit, "lose_the_line"))["status"] == "unknown"
    told = await outcome(kit, "do_external")
    assert told["status"] == "unknown"
    assert "lose_the_line" in told["reason"]


async def test_one_that_hangs_ends_with_the_deadline_of_its_caller(kit: RunningApp) -> None:
    await do(kit, "do_external", lambda me: me.call("wait"))
    assert (await outcome(kit, "wait"))["status"] == "unknown"
    assert (await outcome(kit, "do_external"))["status"] == "unknown"


async def test_a_check_of_another_plugin_stops_it_and_its_output_is_what_the_hooks_show() -> None:
    class Guard(AIPluginBase):
        @hook("before_action")
        async def forbid(self, turn: TurnContext, action: ActionEnvelope) -> Block | None:
            return Block("Not today.") if action.type == "press" else None

    async with running_app(
        engine=ScriptedEngine(otherwise=message("ok")), plugins=[Workshop(), Caller(), Guard()]
    ) as kit:
        await do(kit, "do_external", lambda me: me.call("press", button="a"))
        assert (await outcome(kit, "press"))["status"] == "denied"
        assert "Not today." in (await outcome(kit, "do_external"))["reason"]


async def test_depth_and_number_are_bounded(kit: RunningApp) -> None:
    async def again(me: Caller) -> Json:
        return await me.call("do_read", plugin="caller")

    await do(kit, "do_read", again)
    assert "which is the most" in (await outcome(kit, "do_read"))["reason"]
    assert len(await kit.rows("SELECT id FROM ledger WHERE action = 'do_read'")) == 4

    async def often(me: Caller) -> None:
        for _ in range(51):
            await me.call("look", at="x")

    await do(kit, "do_read", often)
    reasons = await kit.rows("SELECT reason FROM ledger WHERE action = 'do_read' ORDER BY id DESC LIMIT 1")
    assert "may call 50 others" in reasons[0]["reason"]


async def test_an_action_that_has_ended_calls_nothing_any_more(kit: RunningApp) -> None:
    ended, tried = asyncio.Event(), asyncio.Event()
    refused: list[str] = []

    async def work(me: Caller) -> str:
        async def later() -> None:
            await ended.wait()
            try:
                await me.call("look", at="x")
            except ActionFailed as error:
                refused.append(str(error))
            tried.set()

        me.context.spawn(later(), "later")
        return "begun"

    assert await do(kit, "do_read", work) == "begun"
    ended.set()
    async with asyncio.timeout(5):
        await tried.wait()
    assert "has ended" in refused[0]


async def test_after_a_crash_nothing_that_was_called_is_done_again(tmp_path: Any) -> None:
    """The database as it is while the caller still runs is what a process that dies now leaves."""
    before, after = tmp_path / "before", tmp_path / "after"
    after.mkdir(mode=0o700)
    pressed, over = asyncio.Event(), asyncio.Event()

    class Slow(Workshop):
        @action(effect="external", permission="user", timeout_s=60, reads_outside=False)
        async def press_and_wait(self) -> str:
            """Press a button of another plugin, and wait."""
            await self.context.services.call_plugin("caller", "note_it", {"text": "milk"})
            await self.context.services.call_plugin("caller", "ring_it", {})
            pressed.set()
            await over.wait()
            return "over"

    rung: list[str] = []

    class Bell(Caller):
        @action(effect="external", permission="user")
        async def ring_it(self) -> str:
            """Ring."""
            rung.append("ring")
            return "rung"

        @action(effect="local", permission="user")
        async def note_it(self, ctx: ActionContext, text: str) -> None:
            """Note."""
            ctx.write(lambda conn: conn.execute(insert(kv), {"owner": "caller", "key": text, "value": "1"}))

    async with running_app(
        engine=ScriptedEngine(("press_and_wait", {}), message("over")), plugins=[Slow(), Bell()], home=before
    ) as kit:
        await kit.interface.say("press it")
        async with asyncio.timeout(10):
            await pressed.wait()
        with closing(sqlite3.connect(before / "rekku.db")) as of, closing(sqlite3.connect(after / "rekku.db")) as to:
            of.backup(to)
        over.set()
        await kit.app.drained()
    async with running_app(
        engine=ScriptedEngine(otherwise=message("it is not known")), plugins=[Slow(), Bell()], home=after
    ) as kit:
        await kit.app.drained()
        assert rung == ["ring"]
        assert await notes(kit) == ["milk"]
        assert await statuses(kit) == [
            ("press_and_wait", "unknown"),
            ("note_it", "done"),
            ("ring_it", "done"),
            ("message", "done"),
        ]
        assert "It may have happened" in "".join(one.content for one in kit.engine.requests[0].messages)
