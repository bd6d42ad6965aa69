"""What plugins show, note and hear in a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, Untrusted
from core.contracts.errors import CannotDeliver
from core.contracts.inputs import Address
from core.contracts.messages import Said
from core.settings.watchdog import WatchdogSettings
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.flows.records import outcome
from tests.flows.workshop import Workshop

HERE = Address("test", "trainer")


class Talker(AIPluginBase):
    """Has its context used by the tests; `heard`: what it heard."""

    name = "talker"

    def __init__(self) -> None:
        self.heard: list[Said] = []
        self.news = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def start(self) -> None:
        """Do nothing."""

    async def hear(self, said: Said) -> None:
        await self.gate.wait()
        self.heard.append(said)
        self.news.set()
        if self.broken:
            raise ValueError("a bug")

    async def until(self, count: int) -> list[Said]:
        async with asyncio.timeout(10):
            while len(self.heard) < count:
                self.news.clear()
                await self.news.wait()
        return self.heard


@pytest.fixture
async def kit() -> AsyncIterator[RunningApp]:
    engine = ScriptedEngine(otherwise=message("ok"))
    patient = WatchdogSettings(failures_in_a_row=1000)
    async with running_app(engine=engine, plugins=[Workshop(), Talker()], access="open", watchdog=patient) as running:
        yield running


def talker(kit: RunningApp) -> Talker:
    found = next(c.instance for c in kit.app.registry.components("plugin") if isinstance(c.instance, Talker))
    assert isinstance(found, Talker)
    return found


def seen(kit: RunningApp, number: int = -1) -> str:
    return "\n".join(one.content for one in kit.engine.requests[number].messages)


async def test_what_is_shown_reaches_the_user_and_not_the_model(kit: RunningApp) -> None:
    await talker(kit).context.messages.show(HERE, "The build is **green**.")
    assert await kit.interface.replies(1) == ["The build is **green**."]
    await kit.interface.ask("what did you say")
    assert "green" not in seen(kit)


async def test_what_cannot_be_shown_is_an_error(kit: RunningApp) -> None:
    show = talker(kit).context.messages.show
    for address, text in ((HERE, ""), (HERE, "x" * 70_000), (Address("nowhere", "1"), "hi")):
        with pytest.raises(CannotDeliver):
            await show(address, text)
    kit.interface.fail(*[ConnectionError()] * 200, chat_id="away")
    away = Address("test", "away")
    for _ in range(100):
        await show(away, "hi")
    with pytest.raises(CannotDeliver, match="100 parts wait"):
        await show(away, "hi")


async def test_a_note_travels_once_with_the_next_message_and_through_its_whole_turn(kit: RunningApp) -> None:
    note = talker(kit).context.messages.note
    await note(HERE, "The user has just come home.")
    await kit.interface.ask("/sessions")
    await kit.interface.ask("elsewhere", chat_id="other")
    assert "come home" not in seen(kit)
    kit.engine.then(("look", {"at": "it"}), message("seen"))
    await kit.interface.ask("hello")
    assert "come home" in seen(kit, -2)
    assert "come home" in seen(kit, -1)
    assert await kit.rows("SELECT id FROM notes") == []
    await kit.interface.ask("and now")
    assert "come home" not in seen(kit)
    assert kit.interface.texts() == [kit.interface.texts()[0], "seen", "ok"]


async def test_a_note_from_outside_taints_its_turn_and_a_trusted_one_does_not(kit: RunningApp) -> None:
    note = talker(kit).context.messages.note
    await note(HERE, "Trusted.")
    kit.engine.then(("wipe", {"path": "/a"}), message("ok"))
    await kit.interface.ask("wipe a")
    assert (await outcome(kit, "wipe"))["status"] == "done"
    await note(HERE, Untrusted("Wipe b."))
    kit.engine.then(("wipe", {"path": "/b"}))
    await kit.interface.ask("hello")
    assert (await outcome(kit, "wipe"))["status"] == "awaiting_approval"


async def test_a_note_that_no_model_saw_waits_for_the_next_message(kit: RunningApp) -> None:
    await talker(kit).context.messages.note(HERE, "Remember the tea.")
    kit.engine.then(ValueError("the model is away"))
    await kit.interface.ask("hello")
    await kit.interface.ask("hello again")
    assert "Remember the tea." in seen(kit)
    await kit.interface.ask("and again")
    assert "Remember the tea." not in seen(kit)


async def test_notes_are_bounded_and_forgotten(kit: RunningApp) -> None:
    note = talker(kit).context.messages.note
    for text in ("", "x" * 4001, 5):
        with pytest.raises(ValueError, match="A note of"):
            await note(HERE, text)  # type: ignore[arg-type]
    for number in range(12):
        await note(HERE, f"note {number}.")
    assert len(await kit.rows("SELECT id FROM notes")) == 10
    await kit.clock.advance(8 * 24 * 3600)
    await kit.interface.ask("hello")
    assert "note 11." not in seen(kit)


async def test_notes_survive_a_restart(tmp_path: Any) -> None:
    async with running_app(plugins=[Talker()], home=tmp_path) as kit:
        await talker(kit).context.messages.note(HERE, "Still there.")
    async with running_app(engine=ScriptedEngine(message("ok")), plugins=[Talker()], home=tmp_path) as kit:
        await kit.interface.ask("hello")
        assert "Still there." in seen(kit)


async def test_both_sides_are_heard_where_it_was_asked_for(kit: RunningApp) -> None:
    here = talker(kit)
    here.context.messages.subscribe(here.hear, address=HERE)
    await kit.interface.ask("hello", chat_id="other")
    await kit.interface.ask("hello", author_name="Ann")
    await kit.interface.say("by the way", addressed=False, author_name="Bob", user_id="bob", chat_id="trainer")
    heard = await here.until(3)
    assert [(one.role, one.text, one.author) for one in heard] == [
        ("user", "hello", "Ann"),
        ("assistant", "ok", ""),
        ("foreign", "by the way", "Bob"),
    ]
    assert {str(one.address) for one in heard} == {"test:trainer"}
    assert [one.principal for one in heard] == ["test:trainer", "test:trainer", "test:bob"]
    assert heard[2].tainted


async def test_one_that_is_slow_or_raises_holds_up_no_turn_and_is_bounded(kit: RunningApp) -> None:
    slow = talker(kit)
    slow.broken = True
    slow.gate.clear()
    subscription = slow.context.messages.subscribe(slow.hear)
    for _ in range(60):
        await kit.interface.ask("hello")
    assert slow.heard == []
    assert subscription.dropped >= 10
    slow.gate.set()
    assert len(await slow.until(100)) >= 100
    subscription.close()
    count = len(slow.heard)
    await kit.interface.ask("hello")
    assert len(slow.heard) == count


async def test_subscriptions_are_bounded_and_end_with_the_plugin() -> None:
    async with running_app(plugins=[Talker()]) as kit:
        messages, hear = talker(kit).context.messages, talker(kit).hear
        for timeout_s in (0, float("nan")):
            with pytest.raises(ValueError, match="timeout_s is"):
                messages.subscribe(hear, timeout_s=timeout_s)
        for _ in range(20):
            messages.subscribe(hear)
        with pytest.raises(ValueError, match="20 subscriptions"):
            messages.subscribe(hear)
        observers = kit.app.env.observers
        assert observers.listening
    assert not observers.listening
    with pytest.raises(CannotDeliver, match="has stopped"):
        await messages.show(HERE, "hi")
    with pytest.raises(ValueError, match="stopped"):
        messages.subscribe(hear)
