"""Updates in: confirmed only when they are stored, each taken once, none of them in the way of the others."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from core.contracts.deliveries import Health
from core.contracts.errors import ConfigurationError, RekkuError, StorageUnavailable, ValueRefused
from core.contracts.inputs import Input
from core.contracts.json import JsonObject
from interfaces.telegram import TelegramInterface
from tests.support.bot_api import BotApi, Fault, World, album, button_press, edited, message, private
from tests.support.telegram_bot import Inbox, telegram

AWAY = StorageUnavailable("the database is away")


async def test_updates_are_confirmed_only_when_they_are_stored() -> None:
    async with BotApi() as api, telegram(api) as bot:
        bot.inbox.failures = [AWAY, AWAY]
        seen: list[int] = []
        bot.inbox.before = lambda _: seen.append(len(api.world.confirmed))
        api.world.say(private(7, "one"), private(7, "two"))
        await bot.clock.slept_for(1)
        assert api.world.confirmed == []
        bot.clock.advance(1)
        await bot.clock.slept_for(2)
        assert api.world.confirmed == []
        bot.clock.advance(2)
        await bot.has(2)
        await api.world.until(lambda: len(api.world.confirmed) == 2)
    assert seen == [0, 0, 0, 0]
    assert bot.inbox.texts == ["one", "two"]


async def test_what_was_not_stored_before_the_end_comes_again() -> None:
    inbox = Inbox()
    async with BotApi() as api:
        async with telegram(api, inbox=inbox) as bot:
            inbox.failures = [RekkuError("going down")]
            api.world.say(private(7, "one"), private(7, "two"))
            await bot.clock.slept_for(1)
        async with telegram(api, inbox=inbox) as bot:
            await bot.has(2)
    assert inbox.texts == ["one", "two"]


async def test_a_crash_after_storing_repeats_nothing() -> None:
    inbox = Inbox()
    async with BotApi() as api:
        api.world.arrange = lambda batch: [*batch, *batch[::-1]]  # each comes twice, and in another order
        api.world.say(*(private(7, f"m{number}") for number in range(5)))
        async with telegram(api, inbox=inbox) as bot:
            await bot.has(5)
            await api.world.until(lambda: not api.world.waiting)
        for update in list(api.world.confirmed):  # the platform forgot that they were confirmed
            api.world.push(update)
        async with telegram(api, inbox=inbox):
            await api.world.until(lambda: not api.world.waiting)
    assert inbox.texts == [f"m{number}" for number in range(5)]


async def test_ids_that_are_drawn_anew_after_a_quiet_week_are_not_missed() -> None:
    async with BotApi(World(first_update_id=900_000)) as api, telegram(api) as bot:
        api.world.say(private(7, "before"))
        await bot.has(1)
        await api.world.until(lambda: not api.world.waiting)
        api.world.arrange = lambda batch: []
        api.world.news.set()
        api.world.push({"update_id": 17} | private(7, "after"))
        await api.world.until(
            lambda: api.world.calls[-1][0] == "getUpdates" and "offset" not in api.world.calls[-1][1]
        )
        api.world.arrange = lambda batch: batch
        assert (await bot.has(2))[1].text == "after"


@pytest.mark.parametrize("bad", [{"message": {"text": "secret words"}}, {"message": 5}, {"new_kind": {}}, {}])
async def test_an_update_that_cannot_be_read_is_passed_over(bad: JsonObject) -> None:
    async with BotApi() as api:
        with capture_logs() as logs:
            async with telegram(api) as bot:
                api.world.say(private(7, "before"), bad, private(7, "after"))
                await bot.has(2)
                await api.world.until(lambda: not api.world.waiting)
    assert bot.inbox.texts == ["before", "after"]
    assert "secret words" not in str(logs)


async def test_an_input_that_the_core_cannot_take_is_passed_over() -> None:
    async with BotApi() as api, telegram(api) as bot:
        bot.inbox.failures = [ValueError("of whatever kind"), ValueRefused("too long for the database")]
        api.world.say(private(7, "poison"), private(7, "more of it"), private(7, "after"))
        await bot.has(1)
        await api.world.until(lambda: not api.world.waiting)
    assert bot.inbox.texts == ["after"]


async def test_two_that_fetch_do_not_fight() -> None:
    async with BotApi() as api:
        with capture_logs() as logs:
            async with telegram(api) as bot:
                api.world.conflict = True
                api.world.news.set()
                await bot.clock.slept_for(30)
                health = await bot.interface.health()
                bot.clock.advance(30)
                await asyncio.sleep(0)
                await bot.clock.slept_for(30)
                assert len([method for method, _ in api.world.calls if method == "getUpdates"]) == 2
                api.world.conflict = False
                bot.clock.advance(30)
                api.world.say(private(7, "hello"))
                await bot.has(1)
                assert (await bot.interface.health()).ok
    assert not health.ok
    assert "@BotFather" in health.cure
    assert len([entry for entry in logs if entry["log_level"] == "error"]) == 1


async def test_a_refused_token_fails_the_start_and_is_not_shown() -> None:
    async with BotApi() as api:
        with capture_logs() as logs, pytest.raises(ConfigurationError) as caught:
            async with telegram(api, token="4242:of-somebody-else"):
                pass
    assert "of-somebody-else" not in f"{caught.value!r}{logs}"
    with pytest.raises(ConfigurationError, match="form"):
        async with telegram(api, token="no token"):
            pass


async def test_a_telegram_that_is_away_at_the_start_is_waited_for() -> None:
    async with BotApi() as api:
        api.world.faults.append(Fault(method="getMe", drop="before", times=2))
        api.world.say(private(7, "hello"))
        with capture_logs() as logs:
            async with telegram(api) as bot:
                assert not (await bot.interface.health()).ok
                await bot.clock.slept_for(1)
                bot.clock.advance(1)
                await bot.clock.slept_for(2)
                bot.clock.advance(2)
                await bot.has(1)
    assert api.world.token not in str(logs)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="getUpdates", drop="after"),
        Fault(method="getUpdates", status=502, raw="<html>"),
        Fault(method="getUpdates", status=500, description="Internal Server Error"),
        Fault(method="getUpdates", raw='{"ok": true, "result": 5}'),
    ],
)
async def test_fetching_goes_on_after_a_failure(fault: Fault) -> None:
    async with BotApi() as api:
        api.world.faults.append(fault)
        api.world.say(private(7, "hello"))
        async with telegram(api) as bot:
            await bot.clock.slept_for(1)
            assert not api.world.confirmed
            assert not bot.inbox.inputs
            bot.clock.advance(1)
            await bot.has(1)


async def test_a_webhook_that_was_set_before_is_taken_away() -> None:
    async with BotApi() as api:
        api.world.webhook = {"url": "http://127.0.0.1:9/"}
        async with telegram(api) as bot:
            api.world.say(private(7, "hello"))
            await bot.has(1)


async def test_the_parts_of_an_album_that_come_late_still_belong_to_it() -> None:
    parts = album(7, 7, "my cats", 4)
    async with BotApi() as api, telegram(api) as bot:
        api.world.say(private(7, "before"), *parts[:2])
        await bot.clock.slept_for(0.6)
        api.world.say(*parts[2:])
        bot.clock.advance(0.6)
        await bot.clock.slept_for(0.6)
        assert api.world.confirmed == []
        bot.clock.advance(0.6)
        inputs = await bot.has(2)
        await api.world.until(lambda: not api.world.waiting)
    assert [len(input.attachments) for input in inputs] == [0, 4]
    assert inputs[1].text == "my cats"


async def test_a_part_that_comes_after_its_album_was_taken_starts_no_turn() -> None:
    parts = album(7, 7, "my cats", 2)
    async with BotApi() as api, telegram(api) as bot:
        for part in parts:
            api.world.say(part)
            await bot.clock.slept_for(0.6)
            bot.clock.advance(0.6)
            await api.world.until(lambda: not api.world.waiting)
    first, second = bot.inbox.inputs
    assert second.data == first.data | {"edit_of": first.data["message_id"]}
    assert (second.text, len(second.attachments)) == ("my cats", 2)


async def test_a_press_is_acknowledged_once_it_is_stored() -> None:
    under = message(7, 7, "?")["message"]
    async with BotApi() as api, telegram(api) as bot:
        acknowledged: list[int] = []
        bot.inbox.before = lambda _: acknowledged.append(len(api.world.of("answerCallbackQuery")))
        api.world.say(button_press(7, under, "/approve x", query_id="q7"))
        await api.world.until(lambda: api.world.of("answerCallbackQuery"))
        [answer] = api.world.of("answerCallbackQuery")
    assert acknowledged == [0]
    assert answer.params["callback_query_id"] == "q7"
    assert bot.inbox.inputs[0].data == {"command": "/approve x"}


async def test_an_edit_names_the_message_that_it_changes() -> None:
    first = private(7, "helo", message_id=31)
    async with BotApi() as api, telegram(api) as bot:
        api.world.say(first, edited(first, "hello"))
        inputs: list[Input] = await bot.has(2)
    assert [(input.text, input.data) for input in inputs] == [
        ("helo", {"message_id": 31}),
        ("hello", {"message_id": 31, "edit_of": 31}),
    ]


async def test_a_group_that_moves_is_remembered() -> None:
    values: JsonObject = {}
    async with BotApi() as api, telegram(api, values=values):
        api.world.say(message(-55, 7, migrate_to_chat_id=-10055))
        await api.world.until(lambda: not api.world.waiting)
    assert values == {"moved chats": {"-55": -10055}}


async def test_starting_twice_is_nothing_that_polls_twice() -> None:
    async with BotApi() as api, telegram(api) as bot:
        await bot.interface.stop()
        await bot.interface.start(bot.inbox.receive)
        api.world.say(private(7, "hello"))
        await bot.has(1)
        await asyncio.sleep(0.05)
    assert bot.inbox.calls == 1


async def test_the_token_can_be_looked_at_without_a_start() -> None:
    interface = TelegramInterface()
    async with BotApi() as api:
        for token, told in ((api.world.token, "@rekku_bot"), ("4242:of-somebody-else", "refuses"), ("no", "form")):
            interface.config = TelegramInterface.Config(token=SecretStr(token), api_base=api.base_url)
            health = await interface.health()
            assert told in health.detail
            assert health.ok == (token == api.world.token)
            assert token == "no" or token not in f"{health}"
    assert "TELEGRAM_API_BASE" in (await _looked_at(api)).cure
    interface.config = TelegramInterface.Config()
    assert "TELEGRAM_BOT_TOKEN" in (await interface.health()).detail


async def _looked_at(api: BotApi) -> Health:
    interface = TelegramInterface()
    interface.config = TelegramInterface.Config(token=SecretStr(api.world.token), api_base=api.base_url)
    return await interface.health()
