"""Deliveries: in order per address, tried again with patience, and dead letters for what can never arrive."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.ai_plugin_base import ActionContext, AIPluginBase, action
from core.contracts.deliveries import Delivery, Part
from core.contracts.errors import CannotDeliver, RetryLater
from core.contracts.json import JsonObject
from core.testing import (
    HANG,
    FakeClock,
    RecordingInterface,
    RunningApp,
    ScriptedEngine,
    actions,
    message,
    running_app,
)
from core.turn import deliver, outgoing
from core.turn.render_blocks import LONG_TEXT
from tests.flows.records import SILENCE, outcome


def said(*texts: str) -> str:
    return actions(*(("message", {"text": text}) for text in texts))


async def outbox(kit: RunningApp) -> list[JsonObject]:
    return await kit.rows("SELECT address, text, state, reason, attempts FROM outbox ORDER BY id")


async def states(kit: RunningApp) -> list[str]:
    return [row["state"] for row in await outbox(kit)]


async def asleep(kit: RunningApp) -> None:
    """Wait until the retry sleeps on the clock."""
    for _ in range(500):
        if kit.clock.sleepers:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nothing sleeps")


async def stored(kit: RunningApp, until_ms: int) -> None:
    """Wait until what stands in the outbox waits until then, also for a later process."""
    for _ in range(500):
        (row,) = await kit.rows("SELECT not_before_ms FROM outbox")
        if abs(row["not_before_ms"] - until_ms) <= 1:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"waits until {row['not_before_ms']}, not {until_ms}")


async def test_the_wait_that_a_platform_asks_for_is_kept_and_the_order_too() -> None:
    async with running_app(engine=ScriptedEngine(said("one", "two", "three"))) as kit:
        kit.interface.fail(RetryLater(30))
        assert await kit.interface.ask("count") == []
        await asleep(kit)
        await kit.advance(29)
        assert kit.interface.texts() == []
        await kit.advance(2)
        assert await kit.interface.replies(3) == ["one", "two", "three"]
        assert [row["attempts"] for row in await outbox(kit)] == [2, 1, 1]


class SetClock(FakeClock):
    """A clock whose wall time can be set."""

    set_by_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.set_by_ms


@pytest.mark.parametrize("hours", [-5, 5])
async def test_the_wait_is_kept_whatever_the_wall_clock_is_set_to(hours: int) -> None:
    clock = SetClock()
    async with running_app(engine=ScriptedEngine(message("hi")), clock=clock) as kit:
        kit.interface.fail(RetryLater(30))
        assert await kit.interface.ask("hi") == []
        await asleep(kit)
        clock.set_by_ms = hours * 3600 * 1000
        await kit.advance(29)
        await asleep(kit)
        assert kit.interface.texts() == []

        async def go_on() -> None:
            for _ in range(200):  # it may have been about to sleep for the rest when the clock was moved
                await kit.advance(2)
                await asyncio.sleep(0.02)

        going_on = asyncio.ensure_future(go_on())
        assert await kit.interface.replies() == ["hi"]
        going_on.cancel()
        assert [row["attempts"] for row in await outbox(kit)] == [2]


@pytest.mark.parametrize("hours", [-5, 5])
async def test_the_wait_is_kept_over_a_restart_after_the_wall_clock_was_set(hours: int, tmp_path: Path) -> None:
    clock = SetClock()
    async with running_app(engine=ScriptedEngine(message("hi")), clock=clock, home=tmp_path) as kit:
        kit.interface.fail(RetryLater(30))
        assert await kit.interface.ask("hi") == []
        await asleep(kit)
        clock.set_by_ms = hours * 3600 * 1000
        await kit.advance(9)
        await stored(kit, clock.now_ms() + 21_000)
    async with running_app(clock=clock, home=tmp_path) as kit:
        await asleep(kit)
        await kit.advance(20)
        await asleep(kit)
        assert kit.interface.texts() == []
        await kit.advance(2)
        assert await kit.interface.replies() == ["hi"]


class HangsInRender(RecordingInterface):
    """Never ends to render a long text."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def render(self, delivery: Delivery) -> list[Part]:
        if len(delivery.text) > LONG_TEXT:
            self.go_on.wait()
        return super().render(delivery)


async def test_renders_that_hang_use_up_nothing_that_others_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "RENDER_DEADLINE_S", 0.01)
    interface = HangsInRender()
    engine = ScriptedEngine(message("x" * 10_000), SILENCE, message("x" * 10_000), SILENCE)
    async with running_app(engine=engine, interface=interface) as kit:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=1))
        try:
            for _ in range(2):
                assert await interface.ask("much, please") == []
            assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 5) == "free"
            assert {row["status"] for row in await kit.rows("SELECT status FROM ledger")} == {"failed"}
        finally:
            interface.go_on.set()


async def test_other_addresses_go_on_while_one_waits() -> None:
    async with running_app(engine=ScriptedEngine(otherwise=message("hi"))) as kit:
        kit.interface.fail(RetryLater(3600), chat_id="slow")
        await kit.interface.ask("hi", chat_id="slow")
        assert await kit.interface.ask("hi", chat_id="quick") == ["hi"]
        assert kit.interface.texts("slow") == []


async def test_a_wait_for_the_whole_interface_holds_all_its_addresses() -> None:
    async with running_app(engine=ScriptedEngine(otherwise=message("hi"))) as kit:
        kit.interface.fail(RetryLater(30, scope="interface"))
        await kit.interface.ask("hi", chat_id="one")
        assert await kit.interface.ask("hi", chat_id="two") == []
        await asleep(kit)
        await kit.advance(31)
        assert await kit.interface.replies(chat_id="one") == ["hi"]
        assert await kit.interface.replies(chat_id="two") == ["hi"]


async def test_what_can_never_be_delivered_is_a_dead_letter_and_blocks_nothing() -> None:
    async with running_app(engine=ScriptedEngine(said("one", "two"))) as kit:
        kit.interface.fail(CannotDeliver("The chat is gone."))
        assert await kit.interface.ask("count") == ["two"]
        dead, sent = await outbox(kit)
        assert (dead["state"], dead["reason"]) == ("dead", "The chat is gone.")
        assert sent["state"] == "sent"


async def test_a_delivery_that_is_too_old_is_a_dead_letter() -> None:
    class Brief(AIPluginBase):
        @action(effect="local", permission="anyone")
        async def tell(self, ctx: ActionContext) -> None:
            """Tell something that is soon over."""
            ctx.deliver(Delivery(address=ctx.address, text="The tea is ready.", ttl_s=60))

    async with running_app(
        engine=ScriptedEngine(actions(("tell", {}), ("message", {"text": "Later."}))), plugins=[Brief()]
    ) as kit:
        kit.interface.fail(RetryLater(600))
        await kit.interface.ask("tell me")
        await asleep(kit)
        await kit.advance(590)
        await asleep(kit)
        assert kit.interface.texts() == []  # the platform's wait holds for what comes behind it
        await kit.advance(20)
        assert await kit.interface.replies() == ["Later."]
        dead = (await outbox(kit))[0]
        assert dead["state"] == "dead"
        assert "time to live" in dead["reason"]


async def test_an_interface_that_hangs_is_given_up_after_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "SEND_DEADLINE_S", 0.05)
    async with running_app(engine=ScriptedEngine(message("hi"), otherwise=message("other"))) as kit:
        kit.interface.fail(HANG, chat_id="stuck")
        await kit.interface.ask("hi", chat_id="stuck")
        assert await kit.interface.ask("hi", chat_id="fine") == ["other"]
        await asleep(kit)
        await kit.advance(5)
        assert await kit.interface.replies(chat_id="stuck") == ["hi"]


async def test_an_error_nobody_foresaw_is_tried_again_with_a_growing_wait() -> None:
    async with running_app(engine=ScriptedEngine(message("hi"))) as kit:
        kit.interface.fail(*(OSError("the network is down") for _ in range(3)))
        await kit.interface.ask("hi")
        for seconds in (1, 2, 4):
            await asleep(kit)
            await kit.advance(seconds - 0.5)
            await asleep(kit)
            assert kit.interface.texts() == []
            await kit.advance(0.6)
        assert await kit.interface.replies() == ["hi"]
        (row,) = await outbox(kit)
        assert row["attempts"] == 4


async def test_what_waits_is_sent_after_a_restart(tmp_path: Path) -> None:
    async with running_app(engine=ScriptedEngine(said("one", "two")), home=tmp_path) as kit:
        kit.interface.fail(RetryLater(3600))
        await kit.interface.ask("count")
    async with running_app(home=tmp_path) as kit:
        await asleep(kit)
        await kit.advance(3601)
        assert await kit.interface.replies(2) == ["one", "two"]


async def test_a_message_to_an_interface_that_does_not_run_has_failed() -> None:
    engine = ScriptedEngine(("message", {"text": "hi", "to": "pigeon:1"}), message("There are no pigeons."))
    async with running_app(engine=engine) as kit:
        assert await kit.interface.ask("tell the pigeons") == ["There are no pigeons."]
        row = (await kit.rows("SELECT status, reason FROM ledger"))[0]
        assert row["status"] == "failed"
        assert "There is no interface pigeon." in row["reason"]
        assert "The interfaces that run: test." in engine.last.messages[-1].content
        assert await states(kit) == ["sent"]


async def test_a_platform_that_refuses_does_not_undo_what_was_done() -> None:
    async with running_app(engine=ScriptedEngine(message("hi"), SILENCE)) as kit:
        kit.interface.fail(CannotDeliver("blocked by the user"))
        await kit.interface.ask("hi")
        assert (await outcome(kit, "message"))["status"] == "done"
        assert kit.interface.ends[0].result == "complete"
