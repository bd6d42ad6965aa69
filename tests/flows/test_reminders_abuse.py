"""Reminders and what is done to them on purpose or by mistake: hostile words, lost databases, hasty buttons."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from core.contracts.errors import CannotDeliver, StorageUnavailable
from core.contracts.inputs import Address, Principal, Quoted
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import Reminder
from core.services import reminders
from core.settings.components import ComponentTable
from core.testing import RunningApp, ScriptedEngine, running_app
from core.turn import keep_schedule
from core.turn.choose_occurrence import Due, what_is_due
from tests.flows.records import SILENCE
from tests.flows.test_reminders import DAY, HOUR, MINUTE, _make_user, asked, sets, texts


def with_bound(most: int) -> dict[str, Any]:
    return {"plugins": {"event": ComponentTable(values={"most_reminders": most})}}


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("It has not come to that.")


def filled(kit: RunningApp, conn: Any, count: int) -> None:
    chat = Address("test", "trainer")
    start = datetime(2030, 1, 1, 9)
    for _ in range(count):
        reminder = Reminder(
            principal=Principal("test", "trainer"),
            number=reminders.new_number(conn),
            address=chat,
            asked_in=chat,
            text="x",
            intent=Intent(start=start, zone="UTC"),
            next=Occurrence(local=start, at_ms=1_893_488_400_000),
        )
        reminders.add(conn, reminder, kit.clock.now_ms())


async def test_a_mistake_and_a_lost_database_at_once_do_not_end_all_reminders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def mistaken(*_: Any) -> bool:
        raise RuntimeError("a mistake of our own")

    def away(*_: Any) -> None:
        gone.append(True)
        raise StorageUnavailable("the database is away")

    def unreadable(*_: Any) -> None:
        gone.clear()
        raise KeyError("reminder")

    gone: list[bool] = []
    async with running_app(engine=sets(text="stretch", when="in 1 hour")) as kit:
        await asked(kit)
        with monkeypatch.context() as patched:
            patched.setattr(keep_schedule, "fire_reminder", mistaken)
            patched.setattr(reminders, "postpone", away)
            await kit.advance(HOUR)
            await until(lambda: bool(gone))
        with monkeypatch.context() as patched:
            patched.setattr(reminders, "due", unreadable)
            await kit.advance(MINUTE)
            await until(lambda: not gone)
        await kit.advance(MINUTE)
        await kit.interface.replies(1)
        assert (await texts(kit))[0].startswith("Reminder: stretch")


async def test_what_foreign_text_may_have_planted_is_foreign_in_a_list() -> None:
    engine = ScriptedEngine(("create_reminder", {"text": "run rm -rf", "when": "in 9 days"}), SILENCE)
    async with running_app(engine=engine) as kit:
        await kit.interface.ask("do this", quoted=(Quoted(relation="forward", author="x", text="plant it"),))
        for asked_for in (("list_reminders", {}), ("update_reminder", {"number": 1, "when": "in 8 days"})):
            engine.then(asked_for, SILENCE)
            await kit.interface.ask("what is there?", chat_id=f"clean {asked_for[0]}")
            assert "run rm -rf" in engine.last.messages[-1].content
            steps = await kit.rows("SELECT tainted FROM steps ORDER BY turn_id DESC, number DESC LIMIT 1")
            assert steps[0]["tainted"]


async def test_what_was_private_is_told_in_no_group() -> None:
    async with running_app(engine=ScriptedEngine(SILENCE), access="open") as kit:
        await kit.app.database.transact(lambda conn: _make_user(kit, conn, "ann"))
        await kit.interface.ask("hello", user_id="ann", chat_id="group")
        kit.engine.then(("create_reminder", {"text": "the medicine", "when": "in 1 hour"}), SILENCE)
        await asked(kit, user_id="ann")
        kit.interface.fail(CannotDeliver("the bot was blocked"), chat_id="ann")
        await kit.advance(HOUR)
        assert await texts(kit, "group") == []
        rows = await kit.rows("SELECT address, state FROM outbox ORDER BY id DESC LIMIT 1")
        assert rows == [{"address": "test:ann", "state": "dead"}]


async def test_a_zone_in_which_its_time_has_gone_by_does_not_swallow_a_reminder() -> None:
    call = {"text": "call", "when": "today at 18:00", "timezone": "America/New_York"}
    async with running_app(engine=ScriptedEngine(("create_reminder", call), SILENCE)) as kit:
        await asked(kit)
        (told,) = await kit.interface.ask("/timezone Asia/Tokyo move_reminders=true")
        assert "0 reminders keep their wall-clock time there. There it has gone by for 1," in told
        await kit.advance(DAY)
        assert (await texts(kit))[-1].startswith("Reminder: call")


async def test_the_bound_of_a_trainer_holds_beyond_a_thousand() -> None:
    engine = ScriptedEngine(("create_reminder", {"text": "x", "when": "tomorrow"}), SILENCE)
    async with running_app(engine=engine, components=with_bound(101)) as kit:
        await kit.app.database.transact(lambda conn: filled(kit, conn, 1010))
        await asked(kit)
        assert "You have 1010 reminders, which is the most." in engine.last.messages[-1].content


async def test_taking_back_passes_no_bound_and_goes_on_behind_what_is_lost() -> None:
    def set_(text: str, when: str) -> tuple[str, dict[str, Any]]:
        return ("create_reminder", {"text": text, "when": when})

    engine = ScriptedEngine()
    async with running_app(engine=engine, access="open", components=with_bound(1)) as kit:
        await kit.app.database.transact(lambda conn: _make_user(kit, conn, "ann"))
        steps = [set_("first", "in 9 days"), ("cancel_reminder", {"number": 1}), set_("second", "in 1 hour")]
        for step in (*steps, ("cancel_reminder", {"number": 2}), set_("third", "in 9 days")):
            engine.then(step, SILENCE)
            await asked(kit, user_id="ann")
        await kit.interface.ask("/undo", user_id="ann")  # the third one
        await kit.advance(DAY)
        (lost,) = await kit.interface.ask("/undo", user_id="ann")
        assert "Reminder 2 cannot come back: its time has gone by." in lost
        assert "reminder 2 (second) is not set" in (await kit.interface.ask("/undo", user_id="ann"))[0]
        engine.then(set_("fourth", "in 9 days"), SILENCE)
        await asked(kit, user_id="ann", chat_id="elsewhere")
        (full,) = await kit.interface.ask("/undo", user_id="ann")
        assert "You have 1 reminders, which is the most." in full
        engine.then(("cancel_reminder", {"number": 4}), SILENCE)
        await asked(kit, user_id="ann", chat_id="elsewhere")
        assert "reminder 1 is as it was" in (await kit.interface.ask("/undo", user_id="ann"))[0]


async def test_a_zone_that_the_system_has_lost_breaks_no_list_and_no_delivery() -> None:
    engine = sets(text="tea", when="tomorrow at 17:00", timezone="Europe/Rome")
    engine.then(("create_reminder", {"text": "pills", "when": "tomorrow at 9"}), SILENCE)
    async with running_app(engine=engine) as kit:
        await asked(kit)
        await asked(kit)
        await kit.app.database.transact(
            lambda conn: conn.exec_driver_sql("UPDATE reminders SET zone = 'Mars/Base' WHERE number = 1").rowcount
        )
        (told,) = await kit.interface.ask("/reminders")
        assert "tea" in told
        assert "does not know the zone any more" in told
        assert "pills" in told
        await kit.advance(3 * DAY)  # late, so that it says when it was due
        assert sorted(text.splitlines()[0] for text in (await texts(kit))[-2:]) == [
            "Reminder: pills",
            "Reminder: tea",
        ]


async def test_thousands_of_missed_occurrences_are_counted_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[bool] = []

    def counted(reminder: Reminder, now_ms: int) -> Due:
        threads.append(threading.current_thread() is threading.main_thread())
        return what_is_due(reminder, now_ms)

    monkeypatch.setattr("core.turn.fire_reminder.what_is_due", counted)
    async with running_app(engine=sets(text="stretch", repeat="every 5 minutes")) as kit:
        await asked(kit)
        await kit.advance(30 * DAY)
        assert "occurrences were missed" in (await texts(kit))[-1]
        assert threads == [False]


async def test_a_button_that_is_pressed_twice_sets_one() -> None:
    async with running_app(engine=sets(text="stretch", when="in 1 minute")) as kit:
        await asked(kit)
        await kit.advance(MINUTE)
        await texts(kit)
        ten, hour = (button for button in kit.interface.buttons()[1:3])
        for button in (ten, ten, hour):
            await kit.interface.ended(await kit.interface.press(button))
        assert "as reminder 2 already" in (await texts(kit))[-2]
        assert "comes again as reminder 3" in (await texts(kit))[-1]
        assert len(await kit.rows("SELECT id FROM reminders")) == 3


@pytest.mark.parametrize(
    ("action", "payload", "says"),
    [
        ("cancel_reminder", {"number": 10**30}, f"You have no reminder {10**30}."),
        ("snooze_reminder", {"number": 2**63}, f"You have no reminder {2**63}."),
        ("snooze_reminder", {"number": 1, "by": "every day at 9"}, "to snooze is for once"),
        (
            "create_reminder",
            {"text": "x", "when": "9999-12-31 23:59", "timezone": "America/New_York"},
            "is out of range; 100 years ahead are the most",
        ),
    ],
)
async def test_numbers_and_years_beyond_all_bounds_are_refused_in_words(
    action: str, payload: dict[str, Any], says: str
) -> None:
    engine = ScriptedEngine(("create_reminder", {"text": "there", "when": "in 9 days"}), SILENCE)
    async with running_app(engine=engine) as kit:
        await asked(kit)
        engine.then((action, payload), SILENCE)
        await asked(kit)
        assert says in engine.last.messages[-1].content


@pytest.mark.parametrize(
    "answer",
    [
        "{}",
        "null",
        "[]",
        "\x00",
        '{"actions": [{"type": "terminal_run", "payload": {"text": "done"}}]}',
        '{"actions": [',
    ],
)
async def test_what_names_nothing_does_not_take_the_place_of_the_text(answer: str) -> None:
    compose = {"text": "pills", "when": "in 1 hour", "mode": "compose"}
    engine = ScriptedEngine(("create_reminder", compose), SILENCE, answer)
    async with running_app(engine=engine) as kit:
        await asked(kit)
        await kit.advance(HOUR)
        assert await texts(kit) == ["Reminder: pills"]
