"""`/undo`: what was done last is taken back, once, also when that has to be approved or is interrupted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.ai_plugin_base import ActionContext, AIPluginBase, TurnContext, action, hook
from core.contracts.actions import ActionEnvelope
from core.contracts.outcomes import Outcome
from core.testing import RunningApp, running_app
from tests.flows.records import statuses

ASK = ({"verdict": "ask", "action": "pull_down"},)
NOTHING = ["There is nothing of yours in this chat that could be taken back."]


class Flags(AIPluginBase):
    """Hoists flags, and pulls them down in the world."""

    name = "flags"

    def __init__(self) -> None:
        self.up: list[str] = []

    @action(effect="external", permission="user", command="hoist", compensation="pull_down")
    async def hoist(self, ctx: ActionContext, flag: str) -> str:
        """Hoist a flag."""
        self.up.append(flag)
        ctx.compensate({"flag": flag})
        return f"{flag} is up"

    @action(effect="external", permission="user", model=False)
    async def pull_down(self, flag: str) -> str:
        """Pull a flag down."""
        self.up.remove(flag)
        return f"{flag} is down"


class Waits(AIPluginBase):
    """Never comes to an end with what it is told of an action."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    @hook("after_action")
    async def wait(self, turn: TurnContext, done: ActionEnvelope, outcome: Outcome) -> None:
        """Wait for good once a flag was pulled down."""
        if done.type == "pull_down":
            self.begun.set()
            await asyncio.Event().wait()


async def hoisted(kit: RunningApp, *flags: str) -> None:
    for flag in flags:
        assert await kit.interface.ask(f"/hoist {flag}") == [f"{flag} is up"]


async def undo_asked(kit: RunningApp) -> str:
    """Type `/undo` and return the id of the approval that it then waits for."""
    (question,) = await kit.interface.ask("/undo")
    assert "Approval needed" in question
    rows = await kit.rows("SELECT id FROM approvals WHERE state = 'waiting' ORDER BY created_at_ms")
    (new,) = [row["id"] for row in rows if row["id"] in question]
    return str(new)


async def approved(kit: RunningApp, approval: str) -> str:
    """Approve, and return what is said at the end of the turn that has waited."""
    await kit.interface.say(f"/approve {approval}")
    yes, told = await kit.interface.replies(2)
    assert yes == "Approved: pull_down."
    return told


async def undone(kit: RunningApp) -> list[bool]:
    """Return of each thing that can be taken back, in order, whether it was."""
    return [row["undone_by"] > 0 for row in await kit.rows("SELECT undone_by FROM compensations ORDER BY id")]


async def test_what_was_approved_is_taken_back_once() -> None:
    flags = Flags()
    async with running_app(plugins=[flags], policy_rules=ASK) as kit:
        await hoisted(kit, "red", "blue")
        await approved(kit, await undo_asked(kit))
        assert (flags.up, await undone(kit)) == (["red"], [False, True])
        await approved(kit, await undo_asked(kit))
        assert (flags.up, await undone(kit)) == ([], [True, True])
        assert await kit.interface.ask("/undo") == NOTHING


async def test_what_was_denied_can_still_be_taken_back() -> None:
    flags = Flags()
    async with running_app(plugins=[flags], policy_rules=ASK) as kit:
        await hoisted(kit, "red")
        assert await kit.interface.ask(f"/deny {await undo_asked(kit)}") == ["Denied: pull_down."]
        assert (flags.up, await undone(kit)) == (["red"], [False])
        await approved(kit, await undo_asked(kit))
        assert (flags.up, await undone(kit)) == ([], [True])


async def test_what_was_done_while_it_waits_is_not_what_is_taken_back() -> None:
    flags = Flags()
    async with running_app(plugins=[flags], policy_rules=ASK) as kit:
        await hoisted(kit, "red")
        approval = await undo_asked(kit)
        await hoisted(kit, "red", "blue")
        await approved(kit, approval)
        assert (flags.up, await undone(kit)) == (["red", "blue"], [True, False, False])


async def test_what_was_asked_twice_is_taken_back_once() -> None:
    flags = Flags()
    async with running_app(plugins=[flags], policy_rules=ASK) as kit:
        await hoisted(kit, "red")
        first, second = await undo_asked(kit), await undo_asked(kit)
        await approved(kit, first)
        await hoisted(kit, "red")
        told = await approved(kit, second)
        assert (flags.up, await undone(kit)) == (["red"], [True, False])
        assert "it was taken back while it waited" in told
        assert [status for type_, status in await statuses(kit) if type_ == "pull_down"][-1] == "denied"


async def test_the_yes_may_come_after_a_restart(tmp_path: Path) -> None:
    flags = Flags()
    settings: Any = {"plugins": [flags], "policy_rules": ASK, "home": tmp_path}
    async with running_app(**settings) as kit:
        await hoisted(kit, "red", "blue")
        approval = await undo_asked(kit)
    async with running_app(**settings) as kit:
        await approved(kit, approval)
        assert (flags.up, await undone(kit)) == (["red"], [False, True])


@pytest.mark.parametrize("before", [(), ("red",)])
async def test_an_interrupted_undo_goes_on_with_what_it_has_taken_back(
    before: tuple[str, ...], tmp_path: Path
) -> None:
    flags, waits = Flags(), Waits()
    async with running_app(plugins=[flags, waits], home=tmp_path) as kit:
        await hoisted(kit, *before, "blue")
        await kit.interface.say("/undo")
        await waits.begun.wait()
        kit.app.dispatcher._open = False  # nothing more is taken up: the process goes down now
        await kit.app.dispatcher.stop(0)
    async with running_app(plugins=[flags], home=tmp_path) as kit:
        assert await kit.interface.replies() == ["blue is down"]
        assert (flags.up, await undone(kit)) == ([*before], [*(False for _ in before), True])
