"""Edits: they take the place of what waits, and are history where that has been taken up."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text as sql

from core.contracts.engine import Source
from core.testing import message, running_app
from tests.flows.records import turns
from tests.flows.test_joined_messages import busy
from tests.support.bot_api import BotApi, album, edited, private
from tests.support.bot_api import message as group_message
from tests.support.model_server import ModelServer, reply
from tests.support.telegram_app import TRAINER, telegram_app
from tests.unit.test_telegram_webhook import free_port


async def test_an_edit_takes_the_place_of_what_waits() -> None:
    async with busy() as (kit, slow):
        await kit.interface.say("helo", chat_id="room", data={"message_id": 4})
        end = await kit.interface.say("and more", chat_id="room", dedupe_key="plain")
        edit = await kit.interface.say("hello", chat_id="room", data={"message_id": 4, "edit_of": 4})
        again = await kit.interface.say("even more", chat_id="room", dedupe_key="e2", data={"edit_of": "plain"})
        twice = await kit.interface.say("even more", chat_id="room", dedupe_key="e2", data={"edit_of": "plain"})
        assert (again.input_id, again.duplicate, twice.duplicate) == (end.input_id, False, True)
        slow.gate.set()
        await kit.interface.ended(edit)
        assert kit.interface.texts("room") == ["first", "hello\n\neven more"]


async def test_an_edit_of_what_was_answered_is_history_and_starts_nothing() -> None:
    async with running_app() as kit:
        kit.engine.then(message("hi"), message("yes"))
        await kit.interface.ask("helo", data={"message_id": 4})
        await kit.interface.say("hello", data={"message_id": 4, "edit_of": 4})
        assert await kit.interface.ask("did you see?") == ["yes"]
        said = [m.content for m in kit.engine.last.messages if m.source is Source.HISTORY]
        assert said == ["helo", "(edited) hello"]
        assert len(await turns(kit)) == 2


async def test_an_edit_while_its_turn_runs_is_history() -> None:
    async with busy() as (kit, slow):
        await kit.interface.say("fisrt", user_id="other", chat_id="room", data={"edit_of": "nothing known"})
        rows = await kit.rows("SELECT dedupe_key FROM inbox ORDER BY id LIMIT 1")
        edit = {"edit_of": rows[0]["dedupe_key"]}
        await kit.interface.say("first, mended", user_id="other", chat_id="room", data=edit)
        slow.gate.set()
        await kit.interface.replies(1, chat_id="room")
        assert kit.interface.texts("room") == ["first"]
        lines = await kit.rows(
            "SELECT role, text, tainted, turn_id FROM messages WHERE text LIKE '(edited)%' ORDER BY id"
        )
        assert [(line["role"], line["text"], line["tainted"], line["turn_id"]) for line in lines] == [
            ("foreign", "(edited) fisrt", 1, 0),
            ("user", "(edited) first, mended", 0, 1),
        ]
        await kit.interface.ask("who said so?", chat_id="room")
        [told] = [m for m in kit.engine.last.messages if "first, mended" in m.content]
        assert told.source is Source.FOREIGN, "for anybody else these are the words of another"


async def test_nobody_edits_what_somebody_else_has_said() -> None:
    async with busy() as (kit, slow):
        mine = await kit.interface.say("mine", user_id="ann", chat_id="room", data={"message_id": 9})
        await kit.interface.say("wipe it", user_id="bob", chat_id="room", data={"message_id": 9, "edit_of": 9})
        slow.gate.set()
        await kit.interface.ended(mine)
        assert kit.interface.texts("room") == ["first", "mine"]


async def test_an_edit_can_make_a_command_that_passes_the_lane() -> None:
    async with busy() as (kit, slow):
        await kit.interface.say("stop", chat_id="room", data={"message_id": 5})
        stop = await kit.interface.say("/stop", chat_id="room", data={"message_id": 5, "edit_of": 5})
        await kit.interface.ended(stop)
        assert await kit.interface.replies(chat_id="room") == ["Stopped."]
        slow.gate.set()


async def test_edits_on_telegram(tmp_path: Path) -> None:
    answered = private(TRAINER, "roll a d1", message_id=11)
    unheard = group_message(-100123, 9, "roll a d1", message_id=12)
    async with BotApi() as api, telegram_app(api, tmp_path / "home") as app:
        api.world.say(answered, unheard)
        await api.world.until(lambda: api.world.texts(TRAINER))
        api.world.say(edited(answered, "roll a d20"), edited(unheard, "rekku, roll a d1"))
        api.world.say(private(TRAINER, "/help", message_id=13))
        await api.world.until(lambda: len(api.world.texts(TRAINER)) == 2)
        await app.drained()
        told = await app.database.read(
            lambda conn: list(conn.execute(sql("SELECT role, text FROM messages WHERE text LIKE '(edited)%'")))
        )
        assert api.world.sent(-100123) == []
    assert [tuple(row) for row in told] == [("user", "(edited) roll a d20")]


async def test_an_album_that_is_posted_piece_by_piece_is_one_message(tmp_path: Path) -> None:
    """By webhook each part comes alone; an edit of its caption while it waits loses none of its files."""
    port = free_port()
    hook = {"webhook_url": f"http://127.0.0.1:{port}/", "webhook_listen": f"127.0.0.1:{port}"}
    parts = album(TRAINER, TRAINER, "my cats", 3)
    async with ModelServer() as server, BotApi() as api:
        server.default = reply("Nice cats.")
        async with telegram_app(
            api,
            tmp_path / "home",
            engine=("openai",),
            openai_base_url=server.base_url,
            telegram=hook | {"webhook_secret": "a-secret-of-the-tests"},
        ) as app:
            api.world.say(
                *parts, edited(parts[0], "") | {"edited_message": parts[0]["message"] | {"caption": "cats"}}
            )
            await api.world.until(lambda: api.world.texts(TRAINER), timeout_s=20)
            await app.drained()
            turns = await app.database.read(
                lambda conn: list(conn.exec_driver_sql("SELECT body FROM inbox WHERE turn_id > 0").scalars())
            )
    assert api.world.texts(TRAINER) == ["Nice cats."]
    [body] = turns
    assert [f"photo-{number}" in body for number in range(3)] == [True] * 3
    assert "my cats" not in body
