"""Lanes: in order within a chat, side by side across chats, stopped on demand, and once per dedupe key."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from core.contracts.engine import EngineRequest
from core.contracts.inputs import Address, Role
from core.testing import ScriptedEngine, actions, message, running_app
from tests.flows.records import SILENCE, outcome, statuses, turns
from tests.flows.workshop import Workshop


def echo(request: EngineRequest) -> str:
    return message(request.messages[-1].content)


async def test_a_lane_takes_its_turns_in_order() -> None:
    async def dawdle(request: EngineRequest) -> str:
        await asyncio.sleep(0.05 if request.messages[-1].content == "0" else 0)
        return echo(request)

    async with running_app(engine=ScriptedEngine(otherwise=dawdle), access="open") as kit:
        for number in range(10):
            await kit.interface.say(str(number), user_id=f"u{number}", chat_id="room")
        assert await kit.interface.replies(10, chat_id="room") == [str(number) for number in range(10)]


async def test_lanes_go_side_by_side_and_a_hanging_model_holds_up_one_alone() -> None:
    never = asyncio.Event()

    async def answer(request: EngineRequest) -> str:
        if request.messages[-1].content == "hang":
            await never.wait()
        return echo(request)

    async with running_app(engine=ScriptedEngine(otherwise=answer), access="open") as kit:
        await kit.interface.say("hang", chat_id="stuck")
        await kit.interface.say("behind it", user_id="ann", chat_id="stuck")
        for number in range(20):
            await kit.interface.say("quick", chat_id=f"chat{number}")
        for number in range(20):
            assert await kit.interface.replies(chat_id=f"chat{number}") == ["quick"]
        assert kit.interface.texts("stuck") == []
        never.set()
        assert await kit.interface.replies(2, chat_id="stuck") == ["hang", "behind it"]


async def test_threads_of_one_chat_are_lanes_of_their_own() -> None:
    gate = asyncio.Event()

    async def answer(request: EngineRequest) -> str:
        if request.messages[-1].content == "hang":
            await gate.wait()
        return echo(request)

    async with running_app(engine=ScriptedEngine(otherwise=answer)) as kit:
        await kit.interface.say("hang", chat_id="room")
        inside = kit.interface.input("in a thread", chat_id="room")
        address = Address("test", "room", "7")
        await kit.interface.receive(replace(inside, address=address))
        assert await kit.interface.replies(chat_id="room") == ["in a thread"]
        assert kit.interface.sent[-1].address == address
        gate.set()


async def test_stop_aborts_what_runs_and_the_ledger_says_that_its_end_is_unknown() -> None:
    workshop = Workshop()
    async with running_app(engine=ScriptedEngine(("wait", {}), otherwise=echo), plugins=[workshop]) as kit:
        waiting = await kit.interface.say("wait for it")
        await workshop.waiting.wait()
        await kit.interface.say("/stop")
        assert (await kit.interface.ended(waiting)).result == "aborted"
        row = await outcome(kit, "wait")
        assert row["status"] == "unknown"
        assert row["ended_at_ms"] > 0
        assert (await turns(kit))[0]["state"] == "aborted"
        (told,) = await kit.interface.replies()
        assert told.startswith("Stopped.")
        assert "wait" in told, "whoever stopped it is told what is not known"
        workshop.gate.set()
        assert await kit.interface.ask("still there?") == ["still there?"]
        assert workshop.done == []


async def test_stop_while_the_model_is_asked_does_nothing_more() -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def hang(request: EngineRequest) -> str:
        asked.set()
        await never.wait()
        return SILENCE

    async with running_app(engine=ScriptedEngine(hang, otherwise=echo)) as kit:
        await kit.interface.say("hang")
        await asked.wait()
        await kit.interface.say("/stop")
        assert await kit.interface.replies() == ["Stopped."]
        assert await kit.interface.ask("next") == ["next"]
        history = [m.content for m in kit.engine.last.messages]
        assert history.count("hang") == 1


async def test_stop_stops_nothing_where_nothing_runs() -> None:
    async with running_app() as kit:
        assert await kit.interface.ask("/stop") == ["Nothing that you could stop is running here."]


@pytest.mark.parametrize(("who", "stops"), [("ann", True), ("bob", False), ("trainer", True)])
async def test_only_its_principal_or_a_trainer_stops_a_turn(who: str, stops: bool) -> None:
    workshop = Workshop()
    async with running_app(
        engine=ScriptedEngine(("wait", {}), otherwise=SILENCE), plugins=[workshop], access="open"
    ) as kit:
        kit.app.env.people._strangers = Role.USER
        waiting = await kit.interface.say("wait", user_id="ann", chat_id="room")
        await workshop.waiting.wait()
        told = await kit.interface.ask("/stop", user_id=who, chat_id="room")
        if not stops:
            assert told == ["Nothing that you could stop is running here."]
            workshop.gate.set()
        assert (await kit.interface.ended(waiting)).result == ("aborted" if stops else "complete")
        assert workshop.done == ([] if stops else ["wait"])


async def test_two_stops_at_once_stop_once() -> None:
    workshop = Workshop()
    async with running_app(engine=ScriptedEngine(("wait", {}), otherwise=echo), plugins=[workshop]) as kit:
        waiting = await kit.interface.say("wait")
        await workshop.waiting.wait()
        await asyncio.gather(*(kit.interface.say("/stop") for _ in range(5)))
        assert (await kit.interface.ended(waiting)).result == "aborted"
        assert await kit.interface.ask("go on") != []
        assert (await turns(kit))[0]["state"] == "aborted"
        assert sum(text.startswith("Stopped.") for text in kit.interface.texts()) == 1


@pytest.mark.parametrize("delay_ms", [0, 1, 2, 4, 8])
async def test_a_stop_at_any_moment_leaves_the_lane_usable(delay_ms: int) -> None:
    workshop = Workshop()
    script = ScriptedEngine(
        actions(("message", {"text": "a"}), ("press", {"button": "b"})), ("note", {"text": "c"}), otherwise=echo
    )
    async with running_app(engine=script, plugins=[workshop]) as kit:
        first = await kit.interface.say("go")
        await asyncio.sleep(delay_ms / 1000)
        await kit.interface.say("/stop")
        await kit.interface.ended(first)
        script.answers.clear()
        assert "next" in await kit.interface.ask("next")
        rows = await kit.rows("SELECT status FROM ledger WHERE status = 'started'")
        assert rows == []
        users = await kit.rows("SELECT text FROM messages WHERE role = 'user' AND text = 'go'")
        assert len(users) == 1


async def test_a_dedupe_key_is_taken_once_also_after_a_restart(tmp_path: Path) -> None:
    async with running_app(engine=ScriptedEngine(otherwise=echo), home=tmp_path) as kit:
        first = await kit.interface.say("once", dedupe_key="update-1")
        again = await kit.interface.say("once", dedupe_key="update-1")
        assert (first.duplicate, again.duplicate) == (False, True)
        assert again.input_id == first.input_id
        assert await kit.interface.replies() == ["once"]
    async with running_app(engine=ScriptedEngine(otherwise=echo), home=tmp_path) as kit:
        assert (await kit.interface.say("once", dedupe_key="update-1")).duplicate
        assert await kit.interface.ask("next") == ["next"]
        assert len(await turns(kit)) == 2


async def test_talk_that_is_not_addressed_becomes_history_alone() -> None:
    async with running_app(engine=ScriptedEngine(otherwise=echo)) as kit:
        await kit.interface.say("lunch at noon?", user_id="ann", chat_id="room", addressed=False, author_name="Ann")
        await kit.interface.ask("what did she say?", chat_id="room")
        assert len(kit.engine.requests) == 1
        heard = kit.engine.last.messages[0].content
        assert heard.startswith("FOREIGN text by Ann")
        assert "lunch at noon?" in heard
        assert len(await turns(kit)) == 1


async def test_work_that_was_accepted_is_done_after_a_restart(tmp_path: Path) -> None:
    workshop = Workshop()
    async with running_app(engine=ScriptedEngine(("wait", {})), plugins=[workshop], home=tmp_path) as kit:
        await kit.interface.say("wait", chat_id="a")
        await workshop.waiting.wait()
        await kit.interface.say("behind", chat_id="a")
        kit.app.dispatcher._open = False  # nothing more is taken up: the process goes down now
        stopping = asyncio.create_task(kit.app.dispatcher.stop(0))
        await stopping
    async with running_app(engine=ScriptedEngine(otherwise=echo), plugins=[Workshop()], home=tmp_path) as kit:
        assert (await kit.interface.replies(3, chat_id="a"))[-1] == "behind"
        assert ("wait", "unknown") in await statuses(kit)


async def test_an_input_with_half_a_character_is_a_turn_like_others() -> None:
    async with running_app(engine=ScriptedEngine(otherwise=message("ok"))) as kit:
        await kit.interface.say("\ud83d", author_name="\ud83d", addressed=False)
        assert await kit.interface.ask("broken \ud83d emoji", author_name="\ud83d") == ["ok"]
        assert (await turns(kit))[0]["state"] == "complete"
