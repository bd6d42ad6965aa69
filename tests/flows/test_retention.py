"""Retention in a whole app: what is old goes, what goes on is as it was."""

from __future__ import annotations

from core.settings import RetentionSettings
from core.testing import ScriptedEngine, message, running_app
from core.turn.housekeeping import keep_house

DAY_S = 24 * 3600.0
KEPT = RetentionSettings(history_days=30, ledger_days=20, outbox_days=10)


async def test_what_is_old_goes_and_the_conversation_goes_on() -> None:
    engine = ScriptedEngine(otherwise=message("hello"))
    async with running_app(engine=engine, retention=KEPT, access="open") as kit:
        await kit.interface.ask("of an ended conversation")
        await kit.interface.ask("/new")
        await kit.interface.ask("of the one that goes on")
        await kit.interface.ask("in a group", user_id="bob", chat_id="room")
        await kit.interface.ask("/remind in 60 days to stretch")
        await kit.advance(5 * DAY_S)
        await keep_house(kit.app.env)
        assert len(await kit.rows("SELECT id FROM turns")) == 5, "nothing is old enough"

        await kit.advance(40 * DAY_S)
        await kit.interface.ask("much later")
        await keep_house(kit.app.env)
        await kit.advance(3600)
        await keep_house(kit.app.env)
        said = await kit.rows("SELECT text FROM messages WHERE role = 'user' ORDER BY id")
        assert [row["text"] for row in said] == ["of the one that goes on", "in a group", "much later"]
        # A reminder finds another chat by the newest turn in each, which stays.
        turns = await kit.rows("SELECT id FROM turns ORDER BY id")
        assert [row["id"] for row in turns] == [6]
        for table in ("replies", "steps", "ledger"):
            rows = await kit.rows(f"SELECT DISTINCT turn_id FROM {table}")
            assert [row["turn_id"] for row in rows] == [6], table
        assert len(await kit.rows("SELECT id FROM sessions")) == 2
        assert [row["turn_id"] for row in await kit.rows("SELECT turn_id FROM outbox")] == [6]

        await kit.interface.ask("what did I say?")
        shown = str(engine.last.messages)
        assert "of the one that goes on" in shown
        assert "of an ended conversation" not in shown
        await kit.advance(16 * DAY_S)
        await kit.interface.until(lambda: any("stretch" in text for text in kit.interface.texts()), "the reminder")


async def test_what_others_said_stays_foreign_without_their_turns() -> None:
    engine = ScriptedEngine(otherwise=message("hello"))
    async with running_app(engine=engine, retention=KEPT, access="open") as kit:
        await kit.interface.ask("open the door", user_id="bob", chat_id="room")
        before = await kit.interface.ask("what was said?", chat_id="room")
        assert before == ["hello"]
        tainted = await kit.rows("SELECT tainted FROM steps ORDER BY turn_id")
        await kit.advance(25 * DAY_S)
        await keep_house(kit.app.env)
        assert [row["principal"] for row in await kit.rows("SELECT principal FROM turns")] == ["test:trainer"]
        await kit.interface.ask("and now?", chat_id="room")
        assert "open the door" in str(engine.last.messages)
        (step,) = await kit.rows("SELECT tainted FROM steps ORDER BY turn_id DESC LIMIT 1")
        assert step == tainted[-1] == {"tainted": 1}, "whose words they are is still known"
