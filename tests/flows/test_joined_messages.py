"""Messages of one sender that wait while a turn runs become one turn, and end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from core.contracts.engine import EngineCapabilities, EngineRequest
from core.contracts.inputs import Attachment, Quoted
from core.settings.budgets import BudgetSettings, GuestBudget
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.flows.records import turns
from tests.flows.workshop import Workshop


class Slow:
    """A model whose first answer waits for the gate; then it repeats the last thing said."""

    def __init__(self) -> None:
        self.gate, self.asked = asyncio.Event(), asyncio.Event()

    async def __call__(self, request: EngineRequest) -> str:
        if not self.asked.is_set():
            self.asked.set()
            await self.gate.wait()
        return message(request.messages[-1].content)


@asynccontextmanager
async def busy(**more: Any) -> AsyncIterator[tuple[RunningApp, Slow]]:
    """An app whose room is busy with a first turn of somebody else."""
    slow = Slow()
    capabilities = more.pop("capabilities", None)
    engine = ScriptedEngine(otherwise=slow, capabilities=capabilities)
    budgets = BudgetSettings(guest=GuestBudget(pending_inputs=None))
    async with running_app(engine=engine, access="open", budgets=budgets, **more) as kit:
        await kit.interface.say("first", user_id="other", chat_id="room")
        await slow.asked.wait()
        yield kit, slow


async def test_what_waits_is_one_turn_and_every_input_ends() -> None:
    async with busy() as (kit, slow):
        said = [await kit.interface.say(text, chat_id="room") for text in ("one", "two", "three")]
        slow.gate.set()
        ends = [await kit.interface.ended(each) for each in said]
        assert kit.interface.texts("room") == ["first", "one\n\ntwo\n\nthree"]
        assert [end.result for end in ends] == ["complete"] * 3
        assert len(await turns(kit)) == 2
        rows = await kit.rows("SELECT state, turn_id, lease_owner FROM inbox ORDER BY id")
        assert rows == [{"state": "done", "turn_id": turn, "lease_owner": ""} for turn in (1, 2, 2, 2)]
        await kit.interface.ask("next", chat_id="room")
        assert [m.content for m in kit.engine.last.messages].count("one\n\ntwo\n\nthree") == 1


async def test_only_neighbours_of_one_sender_are_joined() -> None:
    async with busy() as (kit, slow):
        for who, text in (("ann", "a1"), ("ann", "a2"), ("bob", "b1"), ("ann", "a3"), ("ann", "/new"), ("ann", "a4")):
            last = await kit.interface.say(text, user_id=who, chat_id="room")
        slow.gate.set()
        await kit.interface.ended(last)
        texts = kit.interface.texts("room")
        assert texts == ["first", "a1\n\na2", "b1", "a3", "A new conversation begins.", "a4"]


async def test_files_and_quotes_come_along_and_taint_the_whole() -> None:
    workshop = Workshop()
    file = Attachment(kind="photo", name="a.png", ref="r1")
    quoted = Quoted(relation="reply", author="Bob", text="wipe it")
    async with busy(plugins=[workshop]) as (kit, slow):
        await kit.interface.say("do as he says", chat_id="room", quoted=(quoted,))
        last = await kit.interface.say("and look", chat_id="room", attachments=(file,))
        kit.engine.then(("wipe", {"path": "all"}))
        slow.gate.set()
        ended = await kit.interface.ended(last)
        prompt = "\n".join(m.content for m in kit.engine.last.messages)
        assert "FOREIGN text reply by Bob:\nwipe it" in prompt
        assert "photo a.png" in prompt
        assert prompt.endswith("do as he says\n\nand look")
        assert (ended.result, len(ended.approval_ids), workshop.done) == ("awaiting_approval", 1, [])


async def test_an_approval_goes_on_with_all_that_was_said() -> None:
    workshop = Workshop()
    rule = {"verdict": "ask", "action": "press"}
    async with busy(plugins=[workshop], policy_rules=(rule,)) as (kit, slow):
        await kit.interface.say("press", chat_id="room")
        last = await kit.interface.say("the green one", chat_id="room")
        kit.engine.then(("press", {"button": "green"}), message("pressed"))
        slow.gate.set()
        [approval] = (await kit.interface.ended(last)).approval_ids
        await kit.interface.say(f"/approve {approval}", chat_id="room")
        await kit.interface.until(lambda: "pressed" in kit.interface.texts("room"), "the end of the turn")
        assert workshop.done == ["press green"]
        assert any(m.content == "press\n\nthe green one" for m in kit.engine.last.messages)


async def test_it_is_bounded_in_number_and_size() -> None:
    async with busy() as (kit, slow):
        for number in range(25):
            last = await kit.interface.say(f"n{number}", chat_id="room")
        slow.gate.set()
        await kit.interface.ended(last)
        assert [len(text.split("\n\n")) for text in kit.interface.texts("room")] == [1, 20, 5]
    async with busy() as (kit, slow):
        for letter in "abc":
            last = await kit.interface.say(letter * 15_000, chat_id="room")
        slow.gate.set()
        await kit.interface.ended(last)
        assert [len(text) for text in kit.interface.texts("room")] == [5, 30_002, 15_000]


async def test_a_grammar_of_set_phrases_gets_one_at_a_time() -> None:
    async with busy(capabilities=EngineCapabilities(language_model=False)) as (kit, slow):
        await kit.interface.say("one", chat_id="room")
        last = await kit.interface.say("two", chat_id="room")
        slow.gate.set()
        await kit.interface.ended(last)
        assert kit.interface.texts("room") == ["first", "one", "two"]


async def test_stop_ends_all_that_was_joined() -> None:
    workshop = Workshop()
    async with busy(plugins=[workshop]) as (kit, slow):
        said = [await kit.interface.say(text, chat_id="room") for text in ("wait", "please")]
        kit.engine.then(("wait", {}))
        slow.gate.set()
        await workshop.waiting.wait()
        behind = await kit.interface.say("later", chat_id="room")
        await kit.interface.say("/stop", chat_id="room")
        assert [(await kit.interface.ended(each)).result for each in said] == ["aborted"] * 2
        assert (await kit.interface.ended(behind)).result == "complete"
        assert kit.interface.texts("room")[-1] == "later"
