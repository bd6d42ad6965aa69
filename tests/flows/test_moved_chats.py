"""A chat that gets another address takes everything along: what waits, its conversation, approvals, deliveries."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.contracts.deliveries import Part
from core.contracts.errors import RetryLater
from core.contracts.inputs import Address
from core.services import outbox
from core.testing import message, running_app
from tests.flows.test_joined_messages import busy
from tests.flows.workshop import Workshop
from tests.support.bot_api import BotApi, private
from tests.support.bot_api import message as group_message
from tests.support.telegram_app import TRAINER, telegram_app

OLD, NEW = Address("test", "room"), Address("test", "hall")
OTHER = Address("test", "rooms")


async def test_what_waits_goes_on_at_the_new_address() -> None:
    async with busy() as (kit, slow):
        waiting = await kit.interface.say("behind", chat_id="room")
        beside = await kit.interface.say("beside", chat_id="rooms")
        await kit.interface.ended(beside)
        await kit.interface.moved(OLD, NEW)
        slow.gate.set()
        await kit.interface.ended(waiting)
        assert (kit.interface.texts("room"), kit.interface.texts("hall")) == (["first"], ["behind"])
        for table in ("inbox", "turns", "sessions"):
            lanes = await kit.rows(f"SELECT DISTINCT lane FROM {table} ORDER BY lane")
            assert [row["lane"] for row in lanes] == ["test:hall", "test:rooms"]
        await kit.interface.ask("next", chat_id="hall")
        contents = [m.content for m in kit.engine.last.messages]
        assert "behind" in contents


async def test_a_conversation_that_was_begun_at_the_new_address_is_joined_to_the_old_one() -> None:
    async with running_app() as kit:
        kit.engine.then(*[message(f"a{n}") for n in range(4)])
        await kit.interface.ask("old words", chat_id="room")
        await kit.interface.ask("/model special", chat_id="room")
        await kit.interface.ask("new words", chat_id="hall")
        await kit.interface.moved(OLD, NEW)
        await kit.interface.ask("and now?", chat_id="hall")
        contents = [m.content for m in kit.engine.last.messages]
        assert [word for word in contents if word.endswith("words")] == ["old words", "new words"]
        assert kit.engine.last.model == "special"
        assert len(await kit.rows("SELECT id FROM sessions WHERE closed_at_ms = 0")) == 1


async def test_an_approval_that_waits_goes_on_at_the_new_address() -> None:
    workshop = Workshop()
    rule = {"verdict": "ask", "action": "press"}
    async with running_app(plugins=[workshop], policy_rules=(rule,)) as kit:
        kit.engine.then(("press", {"button": "green"}), message("pressed"))
        asked = await kit.interface.say("press it", chat_id="room")
        [approval] = (await kit.interface.ended(asked)).approval_ids
        await kit.interface.moved(OLD, NEW)
        await kit.interface.say(f"/approve {approval}", chat_id="hall")
        await kit.interface.until(lambda: "pressed" in kit.interface.texts("hall"), "the end of the turn")
        assert workshop.done == ["press green"]


async def test_deliveries_that_wait_go_to_the_new_address_once_and_in_order() -> None:
    async with running_app() as kit:
        kit.interface.fail(RetryLater(30), chat_id="room")
        thread = Address("test", "room", "7")
        parts = [(Part(address=to, text=text), 3600.0) for to, text in ((OLD, "1"), (OLD, "2"), (thread, "t"))]
        parts.append((Part(address=OTHER, text="other"), 3600.0))
        kit.interface.fail(RetryLater(30), chat_id="room")
        now_ms = kit.clock.now_ms()
        ids = await kit.app.database.transact(lambda conn: outbox.put(conn, parts, 0, now_ms))
        kit.app.deliverer.wake([(row, str(part.address)) for row, (part, _) in zip(ids, parts, strict=True)])
        await kit.interface.until(lambda: kit.interface.texts("rooms") == ["other"], "the other chat")
        while await kit.rows("SELECT id FROM outbox WHERE state = 'sending'"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await kit.interface.moved(OLD, NEW)
        await kit.advance(31)
        await kit.interface.until(lambda: len(kit.interface.texts("hall")) == 3, "all parts")
        assert kit.interface.texts("room") == []
        assert [p.text for p in kit.interface.sent if p.address == NEW] == ["1", "2"]
        assert [p.text for p in kit.interface.sent if p.address == Address("test", "hall", "7")] == ["t"]


async def test_a_group_on_telegram_becomes_a_supergroup(tmp_path: Path) -> None:
    async with BotApi() as api, telegram_app(api, tmp_path / "home") as app:
        api.world.say(group_message(-55, TRAINER, "/roll 6"))
        await api.world.until(lambda: api.world.texts(-55))
        api.world.say(group_message(-55, TRAINER, migrate_to_chat_id=-10055))
        api.world.say(group_message(-10055, TRAINER, migrate_from_chat_id=-55))
        api.world.say(group_message(-10055, TRAINER, "/roll 6"))
        await api.world.until(lambda: api.world.texts(-10055))
        await app.drained()
        lanes = await app.database.read(
            lambda conn: list(conn.exec_driver_sql("SELECT DISTINCT lane FROM sessions").scalars())
        )
    assert lanes == ["telegram:-10055"]


async def test_the_menu_on_telegram_is_longer_for_trainers(tmp_path: Path) -> None:
    rules = ({"verdict": "deny", "action": "core_help"},)
    async with BotApi() as api, telegram_app(api, tmp_path / "home", plugins=(Workshop(),), policy_rules=rules):
        await api.world.until(lambda: len(api.world.of("setMyCommands")) == 2)
        api.world.say(group_message(-100123, TRAINER, "/wipe all"), group_message(-100123, TRAINER, "/elsewhere"))
        api.world.say(private(TRAINER, "/status"))
        await api.world.until(lambda: api.world.texts(TRAINER) and api.world.texts(-100123))
        everybody, trainer = (effect.params for effect in api.world.of("setMyCommands"))
    for_all = {one["command"] for one in everybody["commands"]}
    for_trainer = {one["command"] for one in trainer["commands"]}
    assert everybody["scope"]["type"] == "default"
    assert trainer["scope"] == {"type": "chat", "chat_id": TRAINER}
    assert {"note", "status", "new", "stop"} <= for_all
    assert for_trainer - for_all >= {"wipe", "approve", "deny"}
    assert "help" not in for_trainer, "what a rule forbids to all is in no menu"
    assert api.world.texts(-100123) == ["all wiped"], "a bare command that nobody knows is for another bot"
