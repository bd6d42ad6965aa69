"""A zoo of plugins that do harm: other chats go on, nothing is lost, and who goes on doing harm is taken out of use.

What cannot be contained in one process (`os._exit`, a crash of the interpreter, memory without end, a thread in an
endless loop) is none of these: a plugin that might do it belongs into a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from core.ai_plugin_base import ActionContext, AIPluginBase, action, hook, on, strategy
from core.contracts.errors import ActionFailed
from core.contracts.inputs import Principal, Role
from core.services import roles
from core.settings import Access, WatchdogSettings
from core.testing import RunningApp, ScriptedEngine, actions, message, running_app

QUICK = WatchdogSettings(block_s=0.2, blocks=2, longest_block_s=60, rest_times=0)
LONG_S = 0.6
"""So long a plugin holds up others here: several looks of the watchdog."""


class Hostile(AIPluginBase):
    """Does harm in its action, of which other chats must not suffer."""

    def __init__(self) -> None:
        self.leaked: list[Any] = []
        self.end = threading.Event()

    @action(effect="read", permission="anyone")
    async def blocks(self) -> str:
        """Hold up the event loop."""
        time.sleep(LONG_S)  # noqa: ASYNC251 - the harm that is meant
        return "blocked"

    @action(effect="read", permission="anyone")
    async def raises(self) -> str:
        """Raise."""
        raise ValueError("on purpose")

    @action(effect="read", permission="anyone")
    async def says_no(self) -> str:
        """Fail on purpose, as it may."""
        raise ActionFailed("Not today.")

    @action(effect="read", permission="anyone")
    async def exits(self) -> str:
        """Try to end the process."""
        raise SystemExit(3)

    @action(effect="read", permission="anyone")
    async def leaks(self) -> str:
        """Leave tasks and threads behind."""
        self.leaked += [asyncio.create_task(asyncio.Event().wait()) for _ in range(100)]
        for _ in range(20):
            thread = threading.Thread(target=self.end.wait, daemon=True)
            thread.start()
            self.leaked.append(thread)
        return "leaked"

    @action(effect="read", permission="anyone")
    def floods(self) -> str:
        """Flood the standard output."""
        for _ in range(20_000):
            print("x" * 100)
        return "flooded"

    @action(effect="read", permission="anyone", timeout_s=0.1)
    async def swallows(self) -> str:
        """Swallow every cancellation."""
        while not self.end.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue
        return "swallowed"

    @action(effect="read", permission="anyone")
    async def bursts(self) -> str:
        """Answer with far too much."""
        return "x" * 20_000_000

    @action(effect="read", permission="anyone")
    async def forks(self) -> str:
        """Fork, and let the child go on as if it were the parent."""
        child = os.fork()
        if child == 0:
            return "child"  # back into the event loop, with all that the parent has
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        return f"the child ended with {os.waitstatus_to_exitcode(status)}"

    async def stop(self) -> None:
        self.end.set()


HARM = {
    "blocks": "done",
    "raises": "failed",
    "exits": "failed",
    "leaks": "done",
    "floods": "done",
    "swallows": "failed",
    "bursts": "done",
    "forks": "done",
}


def engine_for(type_: str) -> ScriptedEngine:
    """Return an engine that asks for the action in the chat `bad`, and answers all others."""

    def answer(request: Any) -> str:
        text = request.messages[-1].content
        return actions((type_, {})) if "harm" in text and type_ not in text else message("fine")

    return ScriptedEngine(otherwise=answer)


@pytest.mark.parametrize("type_", HARM)
async def test_other_chats_go_on_and_nothing_is_lost(type_: str, capfd: pytest.CaptureFixture[str]) -> None:
    hostile = Hostile()
    try:
        async with running_app(plugins=[hostile], engine=engine_for(type_)) as kit:
            bad = await kit.interface.say("harm", chat_id="bad")
            others = [await kit.interface.say(f"hello {n}", chat_id=f"good{n}") for n in range(5)]
            for accepted in [*others, bad]:
                await kit.interface.ended(accepted)
            rows = await kit.rows("SELECT status, output, reason FROM ledger WHERE action = :type_", type_=type_)
            assert [row["status"] for row in rows] == [HARM[type_]], rows
            assert len(rows[0]["output"] or "") < 5 * 1024 * 1024
            if type_ == "forks":
                assert "ended with 70" in rows[0]["output"]
            said = [(part.address.chat_id, part.text) for part in kit.interface.sent]
            assert sorted(pair for pair in said if pair[0] != "bad") == [(f"good{n}", "fine") for n in range(5)]
            turns = await kit.rows("SELECT count(*) AS n FROM turns")
            assert turns == [{"n": 6}]
            state = kit.app.registry.get("plugin", "hostile").state  # type: ignore[union-attr]
            assert state == ("degraded" if type_ == "blocks" else "active")
    finally:
        hostile.end.set()
        for leaked in hostile.leaked:
            if isinstance(leaked, asyncio.Task):
                leaked.cancel()


async def quarantined(kit: RunningApp, type_: str, times: int) -> str:
    """Do harm so often, and return why the plugin is in quarantine once it is."""
    plugin = kit.app.registry.get("plugin", "hostile")
    assert plugin is not None
    for n in range(times):
        assert plugin.state == "active"
        await kit.interface.ask(f"harm {n}", chat_id="bad")
    await until(lambda: any("quarantined" in part.text for part in kit.interface.sent))
    assert plugin.state == "quarantined"
    assert type_ not in kit.app.registry.generation
    return plugin.reason


async def test_who_blocks_again_and_again_is_quarantined_told_and_comes_back_by_command(tmp_path: Path) -> None:
    async with running_app(home=tmp_path, plugins=[Hostile()], engine=engine_for("blocks"), watchdog=QUICK) as kit:
        reason = await quarantined(kit, "blocks", 2)
        assert "held up the event loop" in reason
        assert "in action blocks, at test_hostile_plugins.py, line" in reason
        (told,) = [part for part in kit.interface.sent if "quarantined" in part.text]
        assert told.address.chat_id == kit.interface.trainer
        assert "`/plugins enable hostile` lifts that" in told.text
    async with running_app(home=tmp_path, plugins=[Hostile()], engine=engine_for("blocks"), watchdog=QUICK) as kit:
        plugin = kit.app.registry.get("plugin", "hostile")
        assert plugin is not None
        assert (plugin.state, plugin.instance) == ("quarantined", None)
        assert await kit.interface.ask("/plugins enable hostile") == ["hostile is in use."]
        assert "blocks" in kit.app.registry.generation
    async with running_app(home=tmp_path, plugins=[Hostile()]) as kit:
        assert "blocks" in kit.app.registry.generation


async def test_after_a_block_it_rests_and_then_comes_back() -> None:
    settings = WatchdogSettings(block_s=0.2, longest_block_s=60, rest_times=100)
    async with running_app(plugins=[Hostile()], engine=engine_for("blocks"), watchdog=settings) as kit:
        plugin = kit.app.registry.get("plugin", "hostile")
        assert plugin is not None
        await kit.interface.ask("harm", chat_id="bad")
        assert plugin.state == "degraded"
        assert "held up the event loop" in plugin.reason
        assert "it rests for" in plugin.reason
        await kit.interface.ask("harm again", chat_id="bad")
        rows = await kit.rows("SELECT status FROM ledger WHERE action = 'blocks'")
        assert [row["status"] for row in rows] == ["done"]  # the second was not called
        await kit.advance(20)  # a block took 0.6 s, and half of it may have gone unseen
        assert plugin.state == "degraded"
        await kit.advance(600)
        assert plugin.state == "active"
        assert "blocks" in kit.app.registry.generation


async def test_one_long_block_is_enough() -> None:
    settings = WatchdogSettings(block_s=0.2, longest_block_s=0.3)
    async with running_app(plugins=[Hostile()], engine=engine_for("blocks"), watchdog=settings) as kit:
        assert "held up the event loop" in await quarantined(kit, "blocks", 1)


@pytest.mark.parametrize("type_", ["raises", "swallows"])
async def test_who_fails_again_and_again_is_quarantined(type_: str) -> None:
    settings = WatchdogSettings(failures_in_a_row=3)
    async with running_app(plugins=[Hostile()], engine=engine_for(type_), watchdog=settings) as kit:
        assert "It failed 3 times in a row" in await quarantined(kit, type_, 3)


class Moody(AIPluginBase):
    """Raises while it is told to, in one of its two actions."""

    @action(effect="read", permission="anyone")
    async def moody(self, bad: bool) -> str:
        """Raise, or not."""
        if bad:
            raise ValueError("on purpose")
        return "good"

    @action(effect="read", permission="anyone")
    async def steady(self) -> str:
        """Work."""
        return "good"

    @action(effect="read", permission="anyone")
    async def says_no(self) -> str:
        """Fail on purpose, as it may."""
        raise ActionFailed("Not today.")


Asked: TypeAlias = "tuple[str, dict[str, Any]]"
BAD: Asked = ("moody", {"bad": True})
GOOD: Asked = ("moody", {"bad": False})
STEADY: Asked = ("steady", {})
SAYS_NO: Asked = ("says_no", {})


async def state_after(*asked: Asked, by: tuple[str, ...] = ("",), failures: int = 3, **settings: Any) -> str:
    """Let people, one after the other and again, ask for actions in a turn each; return the state of the plugin."""
    engine = ScriptedEngine()
    watchdog = WatchdogSettings(failures_in_a_row=failures)
    async with running_app(plugins=[Moody()], engine=engine, watchdog=watchdog, **settings) as kit:
        plugin = kit.app.registry.get("plugin", "moody")
        assert plugin is not None
        for turn, one in enumerate(asked):
            engine.then(actions(one), message("told"))
            assert "told" in await kit.interface.ask("go", user_id=by[turn % len(by)])
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("quarantine of")))
        return str(plugin.state)


async def test_who_says_no_or_succeeds_in_between_is_not() -> None:
    assert await state_after(SAYS_NO, SAYS_NO, SAYS_NO, BAD, BAD, GOOD, BAD, BAD) == "active"


async def test_what_else_succeeds_forgives_nothing() -> None:
    assert await state_after(BAD, STEADY, BAD, STEADY, BAD) == "quarantined"


async def test_what_lies_back_longer_is_forgotten() -> None:
    engine = ScriptedEngine()
    watchdog = WatchdogSettings(failures_in_a_row=3, failures_within_hours=2)
    async with running_app(plugins=[Moody()], engine=engine, watchdog=watchdog) as kit:
        plugin = kit.app.registry.get("plugin", "moody")
        assert plugin is not None
        for hours in (0, 1.5, 1.5, 1.5, 0.1):
            assert plugin.state == "active"
            await kit.clock.advance(hours * 3600)
            engine.then(actions(BAD), message("told"))
            assert "told" in await kit.interface.ask("go")
        await until(lambda: plugin.state == "quarantined")


class Unsure(AIPluginBase):
    """Cannot check what it is given, and cannot decide how to go on."""

    @action(effect="read", permission="anyone")
    async def checked(self, word: str) -> str:
        """Work, once it is checked."""
        return word

    def validate_payload(self, action_type: str, payload: dict[str, Any]) -> list[str]:
        """Raise."""
        raise ValueError("on purpose")

    @strategy("unsure")
    async def decide(self, turn: object, steps: object) -> Any:
        """Answer with nonsense."""
        return 7


@pytest.mark.parametrize(("user_id", "state"), [("", "quarantined"), ("guest", "active")])
async def test_a_check_that_fails_counts_for_its_plugin(user_id: str, state: str) -> None:
    engine = ScriptedEngine()
    settings: dict[str, Any] = {"watchdog": WatchdogSettings(failures_in_a_row=2), "access": Access.OPEN}
    async with running_app(plugins=[Unsure()], engine=engine, **settings) as kit:
        for _ in range(2):
            assert (await kit.act("checked", {"word": "a"}, user_id=user_id)).status == "refused"
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("quarantine of")))
        assert kit.app.registry.get("plugin", "unsure").state == state  # type: ignore[union-attr]


async def test_a_strategy_that_fails_counts_for_its_plugin() -> None:
    engine = ScriptedEngine(otherwise=message("fine"))
    watchdog = WatchdogSettings(failures_in_a_row=2)
    async with running_app(plugins=[Unsure()], engine=engine, watchdog=watchdog) as kit:
        plugin = kit.app.registry.get("plugin", "unsure")
        assert plugin is not None
        await kit.interface.ask("/strategy unsure")
        for _ in range(2):
            assert plugin.state == "active"
            assert "fine" in await kit.interface.ask("hello")
        await until(lambda: plugin.state == "quarantined")
        assert "at last in unsure.decide with TypeError: answered with a int" in plugin.reason


async def test_no_guest_can_have_a_plugin_quarantined() -> None:
    assert await state_after(*[BAD] * 4, by=("ann", "bob", "ann", "eve"), access=Access.OPEN) == "active"


async def test_no_single_user_can_have_a_plugin_quarantined(tmp_path: Path) -> None:
    home = await with_users(tmp_path, "ann", "bob")
    assert await state_after(*[BAD] * 4, by=("ann",), home=home) == "active"
    assert await state_after(BAD, BAD, by=("ann",), failures=2, home=home) == "active"
    assert await state_after(BAD, BAD, BAD, by=("ann", "ann", ""), home=home) == "quarantined"


async def test_several_users_can(tmp_path: Path) -> None:
    home = await with_users(tmp_path, "ann", "bob")
    assert await state_after(BAD, BAD, BAD, by=("ann", "ann", "bob"), home=home) == "quarantined"


async def with_users(home: Path, *names: str) -> Path:
    """Return a home in which these are users."""
    async with running_app(home=home) as kit:
        for name in names:
            who = Principal(kit.interface.name, name)
            put = partial(roles.put, principal=who, role=Role.USER, name="", decided_by="test", now_ms=1)
            await kit.app.database.transact(put)
    return home


class BadHook(AIPluginBase):
    """Raises wherever it is asked."""

    @hook("gather_context")
    async def gather(self, turn: object) -> dict[str, str]:
        """Raise."""
        raise ValueError("on purpose")

    @hook("extend_system_prompt")
    async def extend(self, turn: object, prompt: str) -> str:
        """Raise."""
        raise ValueError("on purpose")

    @on("turn.started")
    async def started(self, event: object) -> None:
        """Raise."""
        raise ValueError("on purpose")


@pytest.mark.parametrize("user_id", ["", "guest"])
async def test_hooks_and_handlers_that_raise_everywhere_count_once_a_turn(user_id: str) -> None:
    settings = WatchdogSettings(failures_in_a_row=3)
    engine = ScriptedEngine(otherwise=message("fine"))
    async with running_app(plugins=[BadHook()], engine=engine, watchdog=settings, access=Access.OPEN) as kit:
        plugin = kit.app.registry.get("plugin", "bad_hook")
        assert plugin is not None
        for _ in range(2):
            assert "fine" in await kit.interface.ask("hello", user_id=user_id)
            await kit.app.events.settled()
            assert plugin.state == "active"
        assert "fine" in await kit.interface.ask("hello", user_id=user_id)
        if user_id:
            await kit.app.events.settled()
            assert plugin.state == "active"
            return
        await until(lambda: plugin.state == "quarantined")
        assert not [binding for binding in kit.app.registry.hooks if binding.plugin == "bad_hook"]


class Holder(AIPluginBase):
    """Holds the one transaction that writes."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.go_on = threading.Event()
        self.afterwards: list[str] = []

    def hold(self, conn: Any) -> None:
        """Write, wait for the test, and try to write again."""
        conn.exec_driver_sql("CREATE TABLE held (x INTEGER)")
        self.held.set()
        self.go_on.wait(30)
        try:
            conn.exec_driver_sql("CREATE TABLE afterwards (x INTEGER)")
        except Exception as error:  # whatever it is told
            self.afterwards.append(type(error).__name__)
            raise

    @action(effect="local", permission="anyone")
    async def holds(self) -> str:
        """Hold it."""
        await self.context.database.transact(self.hold)
        return "held"

    @action(effect="local", permission="anyone")
    async def holds_at_the_end(self, ctx: ActionContext) -> str:
        """Hold it in what the core writes."""
        ctx.write(self.hold)
        return "will hold"


@pytest.mark.parametrize("type_", ["holds", "holds_at_the_end"])
async def test_a_transaction_that_does_not_end_is_undone_and_others_go_on(
    type_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.sqlite.LONGEST_S", 0.5)
    holder = Holder()
    try:
        async with running_app(plugins=[holder], engine=engine_for(type_)) as kit:
            await kit.interface.say("harm", chat_id="bad")
            await asyncio.to_thread(holder.held.wait, 10)
            assert await kit.interface.ask("hello", chat_id="good") == ["fine"]
            await until(lambda: kit.app.registry.get("plugin", "holder").state == "quarantined")  # type: ignore[union-attr]
            assert "It held a transaction" in kit.app.registry.get("plugin", "holder").reason  # type: ignore[union-attr]
            holder.go_on.set()
            await until(lambda: bool(holder.afterwards))
            tables = await kit.rows("SELECT name FROM sqlite_master WHERE name IN ('held', 'afterwards')")
            assert tables == []
            assert await kit.interface.ask("hello", chat_id="good") == ["fine"]
    finally:
        holder.go_on.set()


async def test_a_transaction_that_takes_long_counts() -> None:
    holder = Holder()
    settings = WatchdogSettings(block_s=0.1, longest_block_s=0.2)
    async with running_app(plugins=[holder], engine=engine_for("holds"), watchdog=settings) as kit:
        accepted = await kit.interface.say("harm", chat_id="bad")
        await asyncio.to_thread(holder.held.wait, 10)
        asyncio.get_running_loop().call_later(0.4, holder.go_on.set)
        await kit.interface.ended(accepted)
        await until(lambda: kit.app.registry.get("plugin", "holder").state == "quarantined")  # type: ignore[union-attr]
        assert "test_hostile_plugins.py, line" in kit.app.registry.get("plugin", "holder").reason  # type: ignore[union-attr]


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true; raises TimeoutError after 10 seconds."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - there is no event that a test could wait for
            await asyncio.sleep(0.01)


async def test_the_core_is_never_taken_out_of_use() -> None:
    async with running_app() as kit:
        core = kit.app.registry.get("plugin", "core_people")
        assert core is not None
        kit.app.plugins.quarantine_soon("core_people", "It held a transaction for 9 s.")
        kit.app.foreign.on_held("core_people", 9.0, "people_actions.py, line 1")
        await asyncio.sleep(0)
        assert core.state == "active"
        assert kit.app.registry.in_use(core)


async def test_a_transaction_is_not_blamed_for_a_machine_that_stood_still() -> None:
    async with running_app(plugins=[Hostile()]) as kit:
        plugin, watchdog = kit.app.registry.get("plugin", "hostile"), kit.app.plugins.watchdog
        assert plugin is not None
        assert watchdog is not None
        watchdog.note_stall(3.0)
        kit.app.foreign.on_held("hostile", 3.4, "somewhere")
        assert plugin.state == "active"
        kit.app.foreign.on_held("hostile", 4.0, "somewhere")
        assert plugin.state == "degraded"
