"""What was called is known of after a crash in the middle of its caller, and when its caller is stopped or fails."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from core.ai_plugin_base import ActionContext, ActionFailed, AIPluginBase, action
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.flows.records import outcome, statuses
from tests.flows.workshop import Workshop


class Chain(AIPluginBase):
    """Calls the workshop, which waits where the test has it wait. fails: it fails at the end."""

    name = "chain"

    def __init__(self) -> None:
        self.here, self.go_on = asyncio.Event(), asyncio.Event()
        self.fails = False

    async def call(self, action: str, **payload: Any) -> None:
        await self.context.services.call_plugin("workshop", action, payload)

    @action(effect="external", permission="user", timeout_s=60)
    async def press_both(self) -> str:
        """Press a button, and wait."""
        await self.call("press", button="blue")
        self.here.set()
        await self.go_on.wait()
        return "pressed"

    @action(effect="external", permission="user", timeout_s=60)
    async def press_and_wait(self) -> None:
        """Press a button, and have the workshop wait."""
        await self.call("press", button="blue")
        await self.call("wait")

    @action(effect="external", permission="user", timeout_s=0.2)
    async def wait_shortly(self) -> None:
        """Have the workshop wait."""
        await self.call("wait")

    @action(effect="local", permission="user")
    async def note_it(self, ctx: ActionContext, text: str) -> None:
        """Have something written down."""
        await self.call("note", text=text)
        if self.fails:
            raise ActionFailed("Not now.")


def copy(home: Path, after: Path) -> None:
    """Copy the database as it is: that is what a process leaves that dies now."""
    after.mkdir(mode=0o700)
    with closing(sqlite3.connect(home / "rekku.db")) as of, closing(sqlite3.connect(after / "rekku.db")) as to:
        of.backup(to)


async def killed(home: Path, after: Path, asked: str, *, in_called: bool) -> None:
    """Leave in `after` what a process leaves that dies while an action runs, or one that it has called."""
    chain, workshop = Chain(), Workshop()
    engine = ScriptedEngine((asked, {}), otherwise=message("over"))
    async with running_app(engine=engine, plugins=[workshop, chain], home=home) as kit:
        await kit.interface.say("press it")
        async with asyncio.timeout(10):
            await (workshop.waiting if in_called else chain.here).wait()
        copy(home, after)
        chain.go_on.set()
        workshop.gate.set()
        await kit.app.drained()


async def test_the_model_cannot_have_it_done_again_after_a_crash(tmp_path: Path) -> None:
    await killed(tmp_path / "before", tmp_path / "after", "press_both", in_called=False)
    workshop = Workshop()
    engine = ScriptedEngine(("press", {"button": "blue"}), ("press", {"button": "green"}), message("over"))
    async with running_app(engine=engine, plugins=[workshop, Chain()], home=tmp_path / "after") as kit:
        await kit.app.drained()
        assert workshop.done == ["press green"]
        assert [row for row in await statuses(kit) if row[0] == "press"] == [("press", "done")] * 3
        assert any("blue pressed" in one.content for one in kit.engine.requests[1].messages)


async def test_the_called_action_that_was_cut_off_is_named(tmp_path: Path) -> None:
    await killed(tmp_path / "before", tmp_path / "after", "press_and_wait", in_called=True)
    engine = ScriptedEngine(otherwise=message("it is not known"))
    async with running_app(engine=engine, plugins=[Workshop(), Chain()], home=tmp_path / "after") as kit:
        await kit.app.drained()
        why = (await outcome(kit, "press_and_wait"))["reason"]
        assert why.startswith("wait, which it called: ")
        assert "It may have happened" in why
        assert any("wait, which it called" in one.content for one in kit.engine.requests[0].messages)
        (told,) = [text for text in kit.interface.texts() if "It is not known whether" in text]
        assert "press_and_wait {}: unknown (wait, which it called: The process stopped while it ran." in told
        assert "wait, which" not in (await outcome(kit, "wait"))["reason"]


async def test_it_is_named_when_its_caller_is_late_or_stopped() -> None:
    chain = Chain()
    engine = ScriptedEngine(otherwise=message("it is not known"))
    workshop = Workshop()
    async with running_app(engine=engine, plugins=[workshop, chain]) as kit:
        engine.then(("wait_shortly", {}))
        await kit.interface.ask("wait")
        late = await outcome(kit, "wait_shortly")
        assert late["status"] == "unknown"
        assert late["reason"].startswith("wait, which it called: ")
        assert "took longer than" in late["reason"]
        workshop.waiting.clear()
        engine.then(("press_and_wait", {}))
        accepted = await kit.interface.say("press and wait")
        async with asyncio.timeout(10):
            await workshop.waiting.wait()
        await kit.interface.ask("/stop")
        await kit.interface.ended(accepted)
        stopped = await outcome(kit, "press_and_wait")
        assert stopped["status"] == "unknown"
        assert stopped["reason"].startswith("wait, which it called: It was stopped while it ran.")


async def test_what_was_undone_with_its_caller_can_be_done_again() -> None:
    chain = Chain()
    chain.fails = True
    engine = ScriptedEngine(("note_it", {"text": "milk"}), ("note", {"text": "milk"}), message("over"))
    async with running_app(engine=engine, plugins=[Workshop(), chain]) as kit:
        await kit.interface.ask("note it")
        assert await notes(kit) == ["milk"]


async def notes(kit: RunningApp) -> list[str]:
    return [row["key"] for row in await kit.rows("SELECT key FROM kv WHERE owner = 'workshop'")]
