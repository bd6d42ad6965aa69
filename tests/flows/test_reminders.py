"""Reminders from the words that set them to what arrives: on time, once, as written, also after a pause."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.contracts.inputs import Address, Principal
from core.services import reminders
from core.services.reminders import DueInstant
from core.settings.components import ComponentTable
from core.testing import FakeClock, RecordingInterface, RunningApp, ScriptedEngine, message, running_app
from core.turn.fire_reminder import fire_reminder
from core.turn.keep_schedule import correct_instants
from tests.flows.records import SILENCE, statuses

MINUTE, HOUR, DAY = 60, 3600, 86_400


def at(clock: FakeClock, text: str) -> float:
    """Return how many seconds it is until a time of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() - clock.now_ms() / 1000


def sets(**payload: Any) -> ScriptedEngine:
    """Return a model that sets a reminder and says no more."""
    return ScriptedEngine(("create_reminder", payload), SILENCE)


async def asked(kit: RunningApp, *, user_id: str = "", chat_id: str = "") -> None:
    await kit.interface.ask("remind me", user_id=user_id, chat_id=chat_id)


async def texts(kit: RunningApp, chat: str = "trainer") -> list[str]:
    """Wait until nothing is due, and return what was sent to a chat."""
    await kit.app.drained()
    for _ in range(1000):
        if not await kit.rows("SELECT id FROM outbox WHERE state IN ('waiting', 'sending')"):
            break
        await asyncio.sleep(0.01)
    return [part.text for part in kit.interface.sent if part.address.chat_id == chat]


async def test_it_comes_when_it_is_due_and_not_before() -> None:
    async with running_app(engine=sets(text="stretch", when="in 45 minutes")) as kit:
        await asked(kit)
        await kit.advance(45 * MINUTE - 1)
        assert await texts(kit) == []
        await kit.advance(1)
        assert await texts(kit) == ["Reminder: stretch"]
        assert [button.label for button in kit.interface.buttons()] == ["Done", "10 minutes", "1 hour", "Tomorrow"]
        await kit.advance(DAY)
        assert await texts(kit) == ["Reminder: stretch"]
        assert await statuses(kit) == [("create_reminder", "done"), ("reminder", "done")]


async def test_the_model_is_told_the_exact_instant_and_what_follows() -> None:
    engine = sets(text="pills", repeat="every weekday at 8", timezone="Europe/Rome")
    async with running_app(engine=engine) as kit:
        await asked(kit)
        told = engine.last.messages[-1].content
        assert "Reminder 1 is set: Monday 2026-11-23 08:00, then Tuesday 2026-11-24 08:00, " in told
        assert "(Europe/Rome)" in told


async def test_a_repeated_one_comes_each_time_over_restarts(tmp_path: Path) -> None:
    clock = FakeClock()
    interface = RecordingInterface()
    async with running_app(
        engine=sets(text="pills", repeat="daily at 9", count=4), clock=clock, home=tmp_path, interface=interface
    ) as kit:
        await asked(kit)
        for _ in range(2):
            await kit.advance(at(clock, f"2026-11-2{1 + len(await texts(kit))} 09:00"))
        assert await texts(kit) == ["Reminder: pills"] * 2
    again = RecordingInterface()
    async with running_app(clock=clock, home=tmp_path, interface=again) as kit:
        for _ in range(4):
            await kit.advance(DAY)
            await texts(kit)  # what is not sent within a day is a dead letter
        assert await texts(kit) == ["Reminder: pills"] * 2
        assert (await kit.rows("SELECT state FROM reminders"))[0]["state"] == "done"


@pytest.mark.parametrize(
    ("missed", "delivered"),
    [
        ("coalesce", ["4 earlier occurrences were missed"]),
        ("deliver", ["4 d", "3 d", "2 d", "1 d", "This comes 1 h late"]),
        ("skip", []),
    ],
)
async def test_what_was_missed_comes_by_its_policy(tmp_path: Path, missed: str, delivered: list[str]) -> None:
    clock = FakeClock()
    engine = sets(text="pills", repeat="daily at 9", missed=missed)
    async with running_app(engine=engine, clock=clock, home=tmp_path) as kit:
        await asked(kit)
    await clock.advance(at(clock, "2026-11-25 10:00"))
    async with running_app(clock=clock, home=tmp_path) as kit:
        got = await texts(kit)
        assert len(got) == len(delivered)
        for text, note in zip(got, delivered, strict=True):
            assert text.startswith("Reminder: pills\n\n(This comes ")
            assert note in text
        rows = await kit.rows("SELECT status, reason FROM ledger WHERE action = 'reminder'")
        assert len(rows) == max(len(delivered), 1), "none is missed silently"
        if missed == "skip":
            assert rows[0]["status"] == "skipped"
            assert "and 4 before it" in rows[0]["reason"]
        await kit.advance(at(clock, "2026-11-26 09:00"))
        assert (await texts(kit))[-1] == "Reminder: pills"


@pytest.mark.parametrize("away_s", [1, MINUTE, HOUR, 30 * DAY])
async def test_a_single_one_comes_late_and_says_so(tmp_path: Path, away_s: int) -> None:
    clock = FakeClock()
    async with running_app(engine=sets(text="call", when="in 10 minutes"), clock=clock, home=tmp_path) as kit:
        await asked(kit)
    await clock.advance(10 * MINUTE + away_s)
    async with running_app(clock=clock, home=tmp_path) as kit:
        (text,) = await texts(kit)
        assert text.startswith("Reminder: call")
        assert ("late" in text) is (away_s >= MINUTE)


async def test_what_is_too_late_to_matter_is_named_and_not_sent(tmp_path: Path) -> None:
    clock = FakeClock()
    engine = sets(text="train", when="in 10 minutes", max_lateness="30 minutes")
    async with running_app(engine=engine, clock=clock, home=tmp_path) as kit:
        await asked(kit)
    await clock.advance(2 * HOUR)
    async with running_app(clock=clock, home=tmp_path) as kit:
        assert await texts(kit) == []
        (row,) = await kit.rows("SELECT status, reason FROM ledger WHERE action = 'reminder'")
        assert row["status"] == "skipped"
        assert "6600 s late" in row["reason"]


async def test_a_clock_that_is_set_back_fires_nothing_twice(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_app(engine=sets(text="pills", repeat="every 2 hours"), clock=clock, home=tmp_path) as kit:
        await asked(kit)
        await kit.advance(2 * HOUR)
        assert await texts(kit) == ["Reminder: pills"]
    back = FakeClock(clock.now_ms() - HOUR * 1000)
    async with running_app(clock=back, home=tmp_path) as kit:
        await kit.advance(HOUR + MINUTE)
        assert await texts(kit) == []
        await kit.advance(2 * HOUR - MINUTE)
        assert await texts(kit) == ["Reminder: pills"]


async def test_two_who_see_one_instant_fire_it_once() -> None:
    async with running_app(engine=sets(text="once", repeat="every 2 hours")) as kit:
        await asked(kit)
        (row,) = await kit.rows("SELECT id, not_before_ms, lane FROM inbox WHERE state = 'scheduled'")
        instant = DueInstant(input_id=row["id"], reminder_id=1, at_ms=row["not_before_ms"], lane=row["lane"])
        await kit.clock.advance(0)
        kit.clock._ms = row["not_before_ms"]
        for _ in range(2):
            await fire_reminder(kit.app.env, instant)
        assert await texts(kit) == ["Reminder: once"]
        assert len(await kit.rows("SELECT id FROM inbox WHERE state = 'scheduled'")) == 1


async def test_the_rules_of_a_zone_that_have_changed_move_what_is_to_come() -> None:
    async with running_app(engine=sets(text="tea", when="tomorrow at 17:00", timezone="Europe/Rome")) as kit:
        await asked(kit)
        (right,) = await kit.rows("SELECT next_at_ms FROM reminders")

        def as_if_computed_by_other_rules(conn: Any) -> None:
            reminders.correct(conn, 1, right["next_at_ms"] + HOUR * 1000, 0)

        await kit.app.database.transact(as_if_computed_by_other_rules)
        assert await correct_instants(kit.app.env) == 1
        assert await kit.rows("SELECT next_at_ms FROM reminders") == [right]
        due = await kit.rows("SELECT not_before_ms FROM inbox WHERE state = 'scheduled'")
        assert due == [{"not_before_ms": right["next_at_ms"]}]


async def test_list_update_cancel_and_undo() -> None:
    engine = ScriptedEngine(
        *(("create_reminder", {"text": "milk", "when": "tomorrow at 9"}), SILENCE),
        *(("update_reminder", {"number": 1, "when": "tomorrow at 10", "text": "milk and bread"}), SILENCE),
    )
    async with running_app(engine=engine) as kit:
        await asked(kit)
        await asked(kit)
        assert await kit.interface.ask("/reminders") == ["- 1: Saturday 2026-11-21 10:00 (UTC): milk and bread"]
        assert "is as it was: Saturday 2026-11-21 09:00 (UTC): milk" in (await kit.interface.ask("/undo"))[0]
        assert await kit.interface.ask("/reminders") == ["- 1: Saturday 2026-11-21 09:00 (UTC): milk"]
        engine.then(("cancel_reminder", {"number": 1}), SILENCE)
        await asked(kit)
        assert await kit.interface.ask("/reminders") == ["You have no reminders."]
        assert "is as it was" in (await kit.interface.ask("/undo"))[0]
        assert "is not set any more" in (await kit.interface.ask("/undo"))[0]
        assert "nothing of yours" in (await kit.interface.ask("/undo"))[0]
        await kit.advance(2 * DAY)
        assert not [text for text in await texts(kit) if text.startswith("Reminder:")]


async def test_a_cancelled_occurrence_can_be_set_again() -> None:
    engine = ScriptedEngine(
        *(("create_reminder", {"text": "milk", "when": "2026-11-21 09:00"}), SILENCE),
        *(("update_reminder", {"number": 1, "when": "2026-11-21 11:00"}), SILENCE),
        *(("update_reminder", {"number": 1, "when": "2026-11-21 09:00"}), SILENCE),
    )
    async with running_app(engine=engine) as kit:
        for _ in range(3):
            await asked(kit)
        await kit.advance(at(kit.clock, "2026-11-21 09:00"))
        assert await texts(kit) == ["Reminder: milk"]
        await kit.advance(DAY)
        assert await texts(kit) == ["Reminder: milk"]


async def test_its_buttons_put_it_off() -> None:
    async with running_app(engine=sets(text="stretch", when="in 1 minute")) as kit:
        await asked(kit)
        await kit.advance(MINUTE)
        await texts(kit)
        ten = next(button for button in kit.interface.buttons() if button.label == "10 minutes")
        await kit.interface.ended(await kit.interface.press(ten))
        assert "comes again as reminder 2" in (await texts(kit))[-1]
        await kit.advance(10 * MINUTE)
        assert (await texts(kit))[-1] == "Reminder: stretch"


async def test_a_button_that_somebody_else_presses_touches_nothing_of_yours() -> None:
    async with running_app(engine=sets(text="stretch", when="in 1 minute"), access="open") as kit:
        await asked(kit, chat_id="group")
        await kit.advance(MINUTE)
        await texts(kit)
        done = next(button for button in kit.interface.buttons("group") if button.label == "1 hour")
        await kit.interface.ended(await kit.interface.press(done, user_id="other", chat_id="group"))
        assert len(await kit.rows("SELECT id FROM reminders")) == 1


async def test_nobody_sees_or_touches_the_reminders_of_another() -> None:
    engine = ScriptedEngine(
        *(("create_reminder", {"text": "secret", "when": "tomorrow"}), SILENCE),
        *(("cancel_reminder", {"number": 1}), SILENCE),
        *(("list_reminders", {}), SILENCE),
    )
    async with running_app(engine=engine, access="open") as kit:
        await asked(kit)
        await kit.app.database.transact(lambda conn: _make_user(kit, conn, "ann"))
        await asked(kit, user_id="ann")
        assert "You have no reminder 1." in engine.last.messages[-1].content
        await asked(kit, user_id="ann")
        assert "You have no reminders." in engine.last.messages[-1].content
        assert await kit.interface.ask("/undo", user_id="ann") == [
            "There is nothing of yours in this chat that could be taken back."
        ]


def _make_user(kit: RunningApp, conn: Any, user_id: str) -> None:
    from core.contracts.inputs import Role
    from core.services import roles

    principal = Principal(kit.interface.name, user_id)
    roles.put(conn, principal, Role.USER, name=user_id, decided_by="a test", now_ms=0)
    kit.app.env.people.note(principal, Role.USER)


async def test_a_task_runs_with_the_rights_of_whoever_set_it_and_breeds_nothing() -> None:
    engine = ScriptedEngine(
        *(("create_reminder", {"text": "roll a die", "when": "in 1 hour", "mode": "task"}), SILENCE),
        ("create_reminder", {"text": "again", "when": "in 1 hour"}),
        message("I rolled it."),
    )
    async with running_app(engine=engine) as kit:
        await asked(kit)
        await kit.advance(HOUR)
        assert await texts(kit) == ["I rolled it."]
        assert [m.content for m in engine.requests[2].messages if m.source == "principal"] == ["roll a die"]
        assert "create_reminder" not in [spec.type for spec in engine.requests[2].actions]
        assert (await statuses(kit))[-2:] == [("create_reminder", "denied"), ("message", "done")]
        (row,) = await kit.rows("SELECT origin, principal FROM turns ORDER BY id DESC LIMIT 1")
        assert row == {"origin": "system", "principal": "test:trainer"}


async def test_a_task_is_delivered_as_written_when_no_model_answers() -> None:
    async with running_app(engine=sets(text="feed the cat", when="in 1 hour", mode="task")) as kit:
        await asked(kit)
        await kit.advance(HOUR)
        (text,) = await texts(kit)
        assert text.startswith("Reminder: feed the cat\n\n(")


async def test_a_task_that_foreign_text_may_have_planted_comes_back_as_foreign() -> None:
    from core.contracts.inputs import Quoted

    engine = ScriptedEngine(
        *(("create_reminder", {"text": "wipe the disk", "when": "in 1 hour", "mode": "task"}), SILENCE),
        message("ok"),
    )
    async with running_app(engine=engine) as kit:
        quoted = (Quoted(relation="forward", author="x", text="set a task"),)
        await kit.interface.ask("do this", quoted=quoted)
        await kit.advance(HOUR)
        assert await texts(kit) == ["ok"]
        shown = [m for m in engine.last.messages if "wipe the disk" in m.content]
        assert shown
        assert all(m.source == "foreign" for m in shown[-1:])
        (row,) = await kit.rows("SELECT tainted FROM steps ORDER BY turn_id DESC LIMIT 1")
        assert row["tainted"]


async def test_the_model_words_it_and_the_text_is_the_fallback() -> None:
    compose = {"text": "pills", "repeat": "every 2 hours", "mode": "compose"}
    engine = ScriptedEngine(("create_reminder", compose), SILENCE, "Time for your pills, friend!", SILENCE)
    async with running_app(engine=engine) as kit:
        await asked(kit)
        await kit.advance(2 * HOUR)
        assert await texts(kit) == ["Time for your pills, friend!"]
        await kit.advance(2 * HOUR)
        assert (await texts(kit))[1:] == ["Reminder: pills"], "a model that says nothing does not decide"
        await kit.advance(2 * HOUR)
        assert (await texts(kit))[2:] == ["Reminder: pills"], "nor one that cannot be reached"


async def test_whoever_was_shut_out_gets_no_reminder_any_more() -> None:
    engine = sets(text="secret", repeat="every 2 hours")
    async with running_app(engine=engine, access="open") as kit:
        await kit.app.database.transact(lambda conn: _make_user(kit, conn, "ann"))
        await asked(kit, user_id="ann")
        await kit.interface.ask("/block test:ann")
        await kit.advance(2 * HOUR)
        assert await texts(kit, "ann") == []
        (row,) = await kit.rows("SELECT status FROM ledger WHERE action = 'reminder'")
        assert row["status"] == "denied"


async def test_to_another_chat_only_as_the_gate_allows() -> None:
    elsewhere = {"text": "meet", "when": "in 1 hour", "to": "test:team"}
    engine = ScriptedEngine(("create_reminder", elsewhere), SILENCE, ("create_reminder", elsewhere), SILENCE)
    async with running_app(engine=engine, access="open") as kit:
        await kit.app.database.transact(lambda conn: _make_user(kit, conn, "ann"))
        await asked(kit, user_id="ann")
        assert await statuses(kit) == [("create_reminder", "denied")]
        await asked(kit)
        await kit.advance(HOUR)
        assert await texts(kit, "team") == ["Reminder: meet"]


async def test_while_its_interface_is_down_it_waits_and_then_goes_elsewhere(tmp_path: Path) -> None:
    clock = FakeClock()
    other = RecordingInterface("other", trainer="boss")
    engine = ScriptedEngine(("create_reminder", {"text": "meet", "when": "in 1 hour", "to": "other:team"}), SILENCE)
    async with running_app(engine=engine, clock=clock, home=tmp_path, interfaces=[other]) as kit:
        await asked(kit)
    async with running_app(clock=clock, home=tmp_path) as kit:
        await kit.advance(2 * HOUR)
        assert await texts(kit) == [], "it waits"
        await kit.advance(23 * HOUR + MINUTE)
        await kit.advance(MINUTE)
        (text,) = await texts(kit)
        assert text.startswith("Reminder: meet\n\n(This comes ")
        assert "It was to go to other:team, which could not be reached" in text


async def test_a_chat_that_refuses_it_for_good_is_told_of_in_another() -> None:
    from core.contracts.errors import CannotDeliver

    async with running_app(engine=sets(text="meet", when="in 1 hour", to="test:team")) as kit:
        await asked(kit)
        kit.interface.fail(CannotDeliver("the bot was removed from that chat"), chat_id="team")
        await kit.advance(HOUR)
        (text,) = await texts(kit)
        assert text.startswith("Reminder: meet")
        assert "the bot was removed from that chat" in text
        states = await kit.rows("SELECT address, state FROM outbox ORDER BY id")
        assert states == [
            {"address": "test:team", "state": "dead"},
            {"address": "test:trainer", "state": "sent"},
        ]


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({"text": "x", "when": "yesterday"}, "I do not understand the time 'yesterday'"),
        ({"text": "x", "when": "2020-01-01 09:00"}, "which is past"),
        ({"text": "x"}, "It does not say when"),
        ({"text": "x", "repeat": "every 10 seconds"}, "60 s is the shortest"),
        ({"text": "x", "repeat": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "when": "tomorrow"}, "never comes"),
        ({"text": "x" * 2001, "when": "tomorrow"}, "2000 are the most"),
        ({"text": "x", "when": "tomorrow", "timezone": "Mars/Base"}, "is no IANA time zone"),
    ],
)
async def test_what_cannot_be_is_refused_with_what_was_understood(payload: dict[str, Any], says: str) -> None:
    engine = ScriptedEngine(("create_reminder", payload), otherwise=SILENCE)
    async with running_app(engine=engine) as kit:
        await asked(kit)
        assert says in engine.requests[1].messages[-1].content
        assert await kit.rows("SELECT id FROM reminders") == []


async def test_the_bound_of_one_person() -> None:
    engine = ScriptedEngine()
    table = ComponentTable(values={"most_reminders": 1})
    async with running_app(engine=engine, components={"plugins": {"event": table}}, access="open") as kit:
        await kit.app.database.transact(lambda conn: _make_user(kit, conn, "ann"))
        engine.then(("create_reminder", {"text": "1", "when": "tomorrow"}))
        engine.then(("create_reminder", {"text": "2", "when": "tomorrow"}), SILENCE)
        await asked(kit, user_id="ann")
        assert "which is the most" in engine.last.messages[-1].content


async def test_a_zone_is_kept_and_moves_reminders_only_when_asked() -> None:
    engine = ScriptedEngine(("create_reminder", {"text": "tea", "when": "tomorrow at 17:00"}), SILENCE)
    async with running_app(engine=engine) as kit:
        await asked(kit)
        assert "the zone of this installation" in engine.last.messages[-1].content
        assert "stay at the wall-clock time" in (await kit.interface.ask("/timezone asia/tokyo"))[0]
        assert await kit.interface.ask("/reminders") == ["- 1: Saturday 2026-11-21 17:00 (UTC): tea"]
        await kit.interface.ask("/timezone Asia/Tokyo move_reminders=true")
        assert await kit.interface.ask("/reminders") == ["- 1: Saturday 2026-11-21 17:00 (Asia/Tokyo): tea"]
        await kit.advance(at(kit.clock, "2026-11-21 08:00"))
        assert (await texts(kit))[-1] == "Reminder: tea"


async def test_a_group_that_moves_takes_its_reminders_along() -> None:
    async with running_app(engine=sets(text="meet", when="in 1 hour")) as kit:
        await asked(kit, chat_id="group")
        await kit.interface.moved(Address("test", "group"), Address("test", "supergroup"))
        await kit.advance(HOUR)
        assert await texts(kit, "supergroup") == ["Reminder: meet"]
