"""The kit that plugin authors test with does what it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.contracts.engine import EngineReply, EngineRequest
from core.contracts.errors import CannotDeliver, EngineRefused, EngineUnavailable
from core.contracts.inputs import Address
from core.testing import FakeClock, RecordingInterface, ScriptedEngine, actions, message, running_app

REQUEST = EngineRequest(instructions="i", catalogue="c", catalogue_brief="b", messages=())


async def test_the_clock_wakes_sleepers_in_order_at_their_times() -> None:
    clock = FakeClock()
    began_ms = clock.now_ms()
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for seconds in naps:
            await clock.sleep(seconds)
            woken.append((name, clock.now_ms() - began_ms))

    tasks = [asyncio.create_task(sleeper("a", 3, 4)), asyncio.create_task(sleeper("b", 1, 1))]
    await asyncio.sleep(0)
    await clock.advance(0.999)
    assert woken == []
    await clock.advance(5)
    assert woken == [("b", 1000), ("b", 2000), ("a", 3000)]
    assert clock.monotonic() == pytest.approx(5.999)
    await clock.advance(10)
    assert woken[-1] == ("a", 7000)
    assert clock.sleepers == 0
    await asyncio.gather(*tasks)


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert clock.sleepers == 0
    await clock.advance(2)


async def test_sleeping_in_a_circle_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.testing.clock.MOST_WAKES", 50)
    clock = FakeClock()

    async def circle() -> None:
        while True:
            await clock.sleep(0.001)

    task = asyncio.create_task(circle())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="in a circle"):
        await clock.advance(60)
    task.cancel()


async def test_a_sleep_of_no_time_returns() -> None:
    await FakeClock().sleep(0)


async def test_every_form_of_an_answer() -> None:
    whole = EngineReply(text="whole", finish_reason="length")

    async def later(request: EngineRequest) -> str:
        return request.instructions

    engine = ScriptedEngine(
        "raw", ("look", {}), [("look", {}), ("press", {"n": 1})], whole, later, lambda _: message("hi"), otherwise="?"
    )
    replies = [await engine.complete(REQUEST) for _ in range(8)]
    assert [reply.text for reply in replies] == [
        "raw",
        '{"actions":[{"type":"look","payload":{}}]}',
        '{"actions":[{"type":"look","payload":{}},{"type":"press","payload":{"n":1}}]}',
        "whole",
        "i",
        message("hi"),
        "?",
        "?",
    ]
    assert replies[3] is whole
    assert len(engine.requests) == 8
    assert replies[0].prompt_bytes > 0


async def test_errors_are_raised_and_a_script_that_is_over_says_so() -> None:
    engine = ScriptedEngine(EngineRefused("no"))
    with pytest.raises(EngineRefused, match="no"):
        await engine.complete(REQUEST)
    with pytest.raises(EngineUnavailable, match="no answer to call 2"):
        await engine.complete(REQUEST)


async def test_a_whole_app_runs_the_plugins_that_come_along() -> None:
    async with running_app(engine=ScriptedEngine(actions(("roll_dice", {"sides": 2})), message("done"))) as kit:
        assert await kit.interface.ask("roll") == ["done"]
        assert kit.engine.last.messages[-1].content.startswith("Outcomes of your actions.")
        (row,) = await kit.rows("SELECT status, principal FROM ledger WHERE action = :a", a="roll_dice")
        assert row == {"status": "done", "principal": "test:trainer"}


async def test_a_script_without_answers_is_told_in_the_reply() -> None:
    async with running_app() as kit:
        (sentence,) = await kit.interface.ask("hi")
        assert "The script has no answer to call 1." in sentence


async def test_the_interface_keeps_chats_and_failures_apart() -> None:
    async with running_app(engine=ScriptedEngine(otherwise=message("ok")), access="open") as kit:
        kit.interface.fail(CannotDeliver("gone"), chat_id="one")
        assert await kit.interface.ask("hi", user_id="ann", chat_id="one") == []
        assert await kit.interface.ask("hi", user_id="ann") == ["ok"]
        assert kit.interface.sent[0].address == Address("test", "ann")
        await kit.interface.say("hi")
        assert await kit.interface.replies() == ["ok"]


async def test_a_wait_in_vain_tells_what_came() -> None:
    async with running_app(engine=ScriptedEngine(message("something else"))) as kit:
        await kit.interface.ask("hi")
        with pytest.raises(AssertionError, match=r"Waited 0\.05 s for 1 more sent to trainer.*something else"):
            await kit.interface.replies(timeout_s=0.05)


async def test_a_second_app_goes_on_in_the_same_home(tmp_path: Path) -> None:
    async with running_app(engine=ScriptedEngine(message("one")), home=tmp_path) as kit:
        await kit.interface.ask("first")
    async with running_app(engine=ScriptedEngine(message("two")), home=tmp_path) as kit:
        await kit.interface.ask("second")
        assert [m.content for m in kit.engine.last.messages if m.source == "history"] == ["first"]


async def test_an_interface_that_does_not_run_takes_nothing() -> None:
    with pytest.raises(RuntimeError, match="does not run"):
        await RecordingInterface().say("hi")


async def test_settings_and_time_can_be_given() -> None:
    engine = ScriptedEngine(otherwise=("roll_dice", {}))
    async with running_app(engine=engine, max_steps=2, interface=RecordingInterface("fake", trainer="me")) as kit:
        (sentence,) = await kit.interface.ask("go")
        assert sentence.startswith("I stopped after 2 steps")
        before = kit.app.clock.now_ms()
        await kit.advance(60)
        assert kit.app.clock.now_ms() == before + 60_000
