"""Typing, progress, menus, files: what is shown besides messages."""

from __future__ import annotations

import pytest

from core.contracts.deliveries import Activity, ActivityKind, Delivery
from core.contracts.inputs import Address, Attachment
from core.contracts.json import JsonObject
from interfaces.telegram import TelegramInterface
from interfaces.telegram.client import Unreachable
from interfaces.telegram.downloading import CannotDownload
from interfaces.telegram.menu import menu
from tests.support.bot_api import BotApi, Fault, button_press, edited, message, private
from tests.support.telegram_bot import Inbox, telegram

HERE = Address("telegram", "-100123", "12")


def shows(kind: ActivityKind, text: str = "", input_id: int = 1, address: Address = HERE) -> Activity:
    return Activity(kind=kind, address=address, input_id=input_id, text=text)


async def test_typing_is_shown_until_the_turn_ends() -> None:
    async with BotApi() as api, telegram(api) as bot:
        await bot.interface.activity(shows(ActivityKind.STARTED))
        await bot.clock.slept_for(0.3)
        for wait_s in (0.3, 4, 4):
            bot.clock.advance(wait_s)
            await bot.clock.slept_for(4)
        await bot.interface.activity(shows(ActivityKind.ENDED))
        bot.clock.advance(4)
        typing = api.world.of("sendChatAction")
    assert [(effect.chat_id, effect.thread_id, effect.params["action"]) for effect in typing] == [
        (-100123, 12, "typing")
    ] * 3


async def test_a_turn_that_never_ends_stops_typing() -> None:
    async with BotApi() as api, telegram(api) as bot:
        await bot.interface.activity(shows(ActivityKind.STARTED))
        await bot.clock.slept_for(0.3)
        bot.clock.advance(16 * 60)
        await bot.interface.send(bot.interface.render(_delivery())[0])
    assert api.world.of("sendChatAction") == []


async def test_a_quick_turn_shows_nothing() -> None:
    async with BotApi() as api, telegram(api) as bot:
        await bot.interface.activity(shows(ActivityKind.STARTED))
        await bot.interface.activity(shows(ActivityKind.ENDED))
        await bot.interface.send(bot.interface.render(_delivery())[0])
    assert [effect.method for effect in api.world.effects if effect.method != "deleteWebhook"] == ["sendMessage"]


async def test_progress_is_one_message_that_changes_and_goes() -> None:
    async with BotApi() as api, telegram(api) as bot:
        await bot.interface.activity(shows(ActivityKind.PROGRESS, "one"))
        await bot.clock.slept_for(0.3)
        bot.clock.advance(0.3)
        await bot.clock.slept_for(4)
        await bot.interface.activity(shows(ActivityKind.PROGRESS, "two"))
        await bot.interface.activity(shows(ActivityKind.PROGRESS, "three"))
        bot.clock.advance(4)
        await bot.clock.slept_for(4)
        await bot.interface.activity(shows(ActivityKind.ENDED))
        await api.world.until(lambda: api.world.of("deleteMessage"))
        [sent], [edit] = api.world.sent(), api.world.of("editMessageText")
    assert (sent.text, edit.text, edit.message_id) == ("one", "three", sent.message_id)


async def test_signs_respect_flood_control() -> None:
    async with BotApi() as api, telegram(api) as bot:
        api.world.clock = bot.clock.monotonic
        api.world.faults.append(
            Fault(
                method="sendChatAction", status=429, description="Too Many Requests", parameters={"retry_after": 60}
            )
        )
        await bot.interface.activity(shows(ActivityKind.PROGRESS, "one"))
        await bot.clock.slept_for(0.3)
        bot.clock.advance(0.3)
        for _ in range(5):
            await bot.clock.slept_for(4)
            await bot.interface.activity(shows(ActivityKind.PROGRESS, "two"))
            bot.clock.advance(4)
    assert api.world.violations == []


async def test_a_message_that_waits_has_a_reaction_until_its_turn_begins_or_ends() -> None:
    async with BotApi() as api, telegram(api) as bot:
        api.world.say(*(private(7, f"m{number}", message_id=30 + number) for number in (1, 2, 3)))
        await bot.has(3)
        await bot.interface.activity(shows(ActivityKind.STARTED, input_id=1))
        await bot.clock.slept_for(1)
        bot.clock.advance(1)
        await api.world.until(lambda: len(api.world.of("setMessageReaction")) == 2)
        await bot.interface.activity(shows(ActivityKind.STARTED, input_id=2))
        await bot.interface.activity(shows(ActivityKind.ENDED, input_id=3))
        await api.world.until(lambda: len(api.world.of("setMessageReaction")) == 4)
        found = [(e.params["message_id"], e.params["reaction"]) for e in api.world.of("setMessageReaction")]
    eyes = [{"type": "emoji", "emoji": "👀"}]
    assert sorted(found[:2]) == [(32, eyes), (33, eyes)]
    assert sorted(found[2:]) == [(32, []), (33, [])]


async def test_no_reaction_to_what_waits_for_nothing() -> None:
    """Talk of others, edits, presses, a duplicate, and whose turn came at once."""
    first = private(7, "m1", message_id=31)
    async with BotApi() as api, telegram(api) as bot:
        api.world.say(message(-55, 7, "among themselves", message_id=5), first)
        api.world.say(edited(first, "m2"), button_press(7, message(7, 7, "?")["message"], "/status"))
        inputs = await bot.has(4)
        await bot.interface.activity(shows(ActivityKind.STARTED, input_id=2))
        bot.clock.advance(1)
        await bot.interface.send(bot.interface.render(_delivery())[0])
    assert [input.addressed for input in inputs] == [False, True, True, True]
    assert api.world.of("setMessageReaction") == []


async def test_a_reaction_is_taken_back_after_a_restart() -> None:
    values: JsonObject = {}
    inbox = Inbox()
    async with BotApi() as api:
        async with telegram(api, values=values, inbox=inbox) as bot:
            api.world.say(private(7, "m1", message_id=31))
            await bot.clock.slept_for(1)
            bot.clock.advance(1)
            await api.world.until(lambda: api.world.of("setMessageReaction"))
        async with telegram(api, values=values, inbox=inbox) as bot:
            await bot.interface.activity(shows(ActivityKind.STARTED, input_id=1))
            await api.world.until(lambda: len(api.world.of("setMessageReaction")) == 2)
    assert api.world.of("setMessageReaction")[1].params["reaction"] == []


def _delivery() -> Delivery:
    return Delivery(address=HERE, text="words")


async def test_menus_are_set_for_all_and_for_trainers() -> None:
    def prepare(interface: TelegramInterface) -> None:
        interface.commands = lambda: {"roll": "Roll a\n die.", "/Help": "Help.", "not-a-command": "x"}
        interface.trainer_commands = lambda: {"approve": "y" * 300}
        interface.trainers = lambda: ("7", "anonymous:1")

    async with BotApi() as api, telegram(api, prepare=prepare):
        await api.world.until(lambda: len(api.world.of("setMyCommands")) == 2)
        everybody, trainer = (effect.params for effect in api.world.of("setMyCommands"))
    assert everybody["scope"] == {"type": "default"}
    assert everybody["commands"] == [
        {"command": "help", "description": "Help."},
        {"command": "roll", "description": "Roll a die."},
    ]
    assert trainer["scope"] == {"type": "chat", "chat_id": 7}
    assert len(trainer["commands"][0]["description"]) == 256


async def test_a_menu_that_is_refused_stops_nothing() -> None:
    def prepare(interface: TelegramInterface) -> None:
        interface.commands = lambda: {"roll": "Roll."}

    async with BotApi() as api:
        api.world.faults.append(Fault(method="setMyCommands", status=400, description="Bad Request: chat not found"))
        async with telegram(api, prepare=prepare) as bot:
            await api.world.until(lambda: any(method == "setMyCommands" for method, _ in api.world.calls))
            await bot.interface.send(bot.interface.render(_delivery())[0])


def test_a_menu_has_at_most_a_hundred_commands() -> None:
    assert len(menu({f"c{number}": "x" for number in range(150)})) == 100


async def test_files_are_fetched_up_to_the_limit() -> None:
    file = Attachment(kind="document", name="a.bin", ref="f", size_bytes=5)
    async with BotApi() as api, telegram(api, max_download_mb=0.001) as bot:
        api.world.files["f"] = b"x" * 1000
        assert await bot.interface.download(file) == b"x" * 1000
        api.world.files["f"] = b"x" * 1100  # more than the sender said
        with pytest.raises(CannotDownload):
            await bot.interface.download(file)
        calls = len(api.world.calls)
        with pytest.raises(CannotDownload, match="MiB"):
            await bot.interface.download(Attachment(kind="document", name="a", ref="f", size_bytes=5000))
        assert len(api.world.calls) == calls
        with pytest.raises(CannotDownload):
            await bot.interface.download(Attachment(kind="document", name="a", ref="gone"))
        with pytest.raises(CannotDownload):
            await bot.interface.download(Attachment(kind="location", name="1, 2", ref=""))
        api.world.faults.append(Fault(method="getFile", drop="before"))
        with pytest.raises(Unreachable):
            await bot.interface.download(file)
