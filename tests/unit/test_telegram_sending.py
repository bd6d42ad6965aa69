"""Sending at a Bot API that refuses, floods, loses answers and moves chats."""

from __future__ import annotations

import asyncio
import dataclasses
import time

import pytest
from aiogram.exceptions import TelegramServerError

from core.contracts.deliveries import Activity, ActivityKind, Button, Delivery, Part
from core.contracts.errors import CannotDeliver, DeliveryError, RetryLater
from core.contracts.inputs import Address
from core.contracts.json import Json
from interfaces.telegram import TelegramInterface
from interfaces.telegram.client import Unreachable
from interfaces.telegram.pace import Rates
from tests.support.bot_api import BotApi, Fault
from tests.support.telegram_bot import telegram

HERE = Address("telegram", "7")
GROUP = Address("telegram", "-55")


def part(text: str, address: Address = HERE, **body: Json) -> Part:
    return Part(address=address, text=text, body=body)


async def test_a_part_is_a_message_with_entities_and_buttons_in_its_topic() -> None:
    topic = Address("telegram", "-100123", "12")
    delivery = Delivery(
        address=topic, text="**Sure?** yes", buttons=(Button(label="Yes", data={"command": "/approve x"}),)
    )
    async with BotApi() as api, telegram(api) as bot:
        [rendered] = bot.interface.render(delivery)
        receipt = await bot.interface.send(rendered)
        [sent] = api.world.sent()
    assert (sent.chat_id, sent.thread_id, sent.text) == (-100123, 12, "Sure? yes")
    assert receipt.message_id == str(sent.message_id)
    assert sent.params["entities"] == [{"type": "bold", "offset": 0, "length": 5}]
    assert sent.params["reply_markup"] == {"inline_keyboard": [[{"text": "Yes", "callback_data": "/approve x"}]]}
    assert sent.params["link_preview_options"] == {"is_disabled": True}


async def test_refused_markup_is_sent_plain_once() -> None:
    async with BotApi() as api, telegram(api) as bot:
        refusal = "Bad Request: can't parse entities: Can't find end"
        api.world.faults.append(Fault(method="sendMessage", status=400, description=refusal, with_entities=True))
        entities: Json = [{"type": "bold", "offset": 0, "length": 1}]
        await bot.interface.send(part("words", entities=entities))
        [sent] = api.world.sent()
        assert "entities" not in sent.params
        api.world.faults.append(Fault(method="sendMessage", status=400, description=refusal, times=2))
        with pytest.raises(CannotDeliver):
            await bot.interface.send(part("words", entities=entities))
    assert len(api.world.sent()) == 1


async def test_stored_bodies_that_no_version_wrote_are_sent_plain() -> None:
    async with BotApi() as api, telegram(api) as bot:
        await bot.interface.send(part("words", entities=[{"type": "bold"}]))
    assert api.world.texts() == ["words"]


async def test_white_space_between_parts_is_not_sent() -> None:
    async with BotApi() as api, telegram(api) as bot:
        await bot.interface.send(part(" \n "))
    assert api.world.sent() == []


@pytest.mark.parametrize(
    ("status", "description"),
    [
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (403, "Forbidden: user is deactivated"),
        (400, "Bad Request: chat not found"),
        (400, "Bad Request: not enough rights to send text messages to the chat"),
        (400, "Bad Request: message thread not found"),
        (400, "Bad Request: message is too long"),
    ],
)
async def test_what_can_never_be_delivered(status: int, description: str) -> None:
    async with BotApi() as api, telegram(api) as bot:
        api.world.faults.append(Fault(method="sendMessage", status=status, description=description, times=99))
        with pytest.raises(CannotDeliver, match=description.partition(": ")[2]):
            await bot.interface.send(part("words"))
        with pytest.raises(CannotDeliver):
            await bot.interface.send(part("words", Address("telegram", "@name")))


async def test_nothing_is_sent_inside_retry_after_and_other_chats_go_on() -> None:
    async with BotApi() as api, telegram(api) as bot:
        api.world.clock = bot.clock.monotonic
        api.world.flood(7, 8)
        with pytest.raises(RetryLater) as caught:
            await bot.interface.send(part("one"))
        assert caught.value.scope == "address"
        assert 8 < caught.value.after_s < 9
        bot.clock.advance(5)
        with pytest.raises(RetryLater) as caught:
            await bot.interface.send(part("one"))
        assert 3 < caught.value.after_s < 4
        await bot.interface.send(part("elsewhere", GROUP))
        bot.clock.advance(caught.value.after_s)
        await bot.interface.send(part("one"))
    assert api.world.texts() == ["elsewhere", "one"]
    assert api.world.violations == []


async def test_retry_after_is_kept_over_a_restart_for_all_topics_and_signs() -> None:
    values: dict[str, Json] = {}
    topics = [Address("telegram", "-100123", "1"), Address("telegram", "-100123", "2")]
    async with BotApi() as api:
        async with telegram(api, values=values) as bot:
            api.world.clock = bot.clock.monotonic
            api.world.flood(-100123, 60)
            with pytest.raises(RetryLater):
                await bot.interface.send(part("one", topics[0]))
            bot.clock.advance(20)
        async with telegram(api, values=values) as bot:
            bot.clock.advance(20)
            api.world.clock = bot.clock.monotonic
            for topic in topics:
                with pytest.raises(RetryLater) as caught:
                    await bot.interface.send(part("one", topic))
                assert 40 <= caught.value.after_s < 41
            working = Activity(kind=ActivityKind.PROGRESS, address=topics[1], input_id=1, text="x")
            await bot.interface.activity(working)
            await bot.clock.slept_for(0.3)
            bot.clock.advance(0.3)
            await bot.clock.slept_for(4)
            await bot.interface.send(part("elsewhere"))
            await bot.interface.activity(dataclasses.replace(working, kind=ActivityKind.ENDED))
            bot.clock.advance(41)
            await bot.interface.send(part("one", topics[1]))
    assert api.world.texts() == ["elsewhere", "one"]
    assert api.world.violations == []


def test_a_burst_and_what_follows_stay_within_what_telegram_counts() -> None:
    rates = Rates()
    for (burst, per_s), most, window_s in ((rates.overall, 30, 1), (rates.chat, 2, 1), (rates.group, 20, 60)):
        assert burst + window_s * burst / per_s <= most
    assert rates.chat[0] / rates.chat[1] == 1


@pytest.mark.parametrize(
    ("rates", "address", "others"),
    [
        (Rates(overall=(2, 3600), chat=(99, 1), group=(99, 1)), HERE, 0),
        (Rates(overall=(99, 1), chat=(2, 3600), group=(99, 1)), HERE, 1),
        (Rates(overall=(99, 1), chat=(99, 1), group=(2, 3600)), GROUP, 1),
        (Rates(overall=(99, 1), chat=(2, 3600), group=(99, 1)), GROUP, 1),
    ],
)
async def test_each_limit_holds(rates: Rates, address: Address, others: int) -> None:
    """Over all, of a chat, of a group, and a group is a chat too; a limit of one chat holds up no other."""
    async with BotApi() as api, telegram(api, rates=rates) as bot:
        await bot.interface.send(part("one", address))
        await bot.interface.send(part("two", address))
        with pytest.raises(RetryLater) as caught:
            await bot.interface.send(part("three", address))
        assert caught.value.after_s == 1800
        elsewhere = Address("telegram", "8" if address == HERE else "-56")
        for _ in range(others):
            await bot.interface.send(part("elsewhere", elsewhere))
    assert api.world.texts() == ["one", "two"] + ["elsewhere"] * others


async def test_rate_limits_hold_up_one_chat_alone() -> None:
    slow = Rates(overall=(1000, 1), chat=(1, 60), group=(1, 60))
    async with BotApi() as api, telegram(api, rates=slow) as bot:
        await bot.interface.send(part("one"))
        began = time.monotonic()
        results = await asyncio.gather(
            *(bot.interface.send(part("two")) for _ in range(5)),
            bot.interface.send(part("elsewhere", GROUP)),
            return_exceptions=True,
        )
        assert time.monotonic() - began < 3
    assert [type(result) for result in results[:5]] == [RetryLater] * 5
    assert api.world.texts() == ["one", "elsewhere"]


async def test_a_token_that_was_withdrawn_buries_nothing() -> None:
    async with BotApi() as api, telegram(api) as bot:
        api.world.token = "4242:another"
        with pytest.raises(RetryLater) as caught:
            await bot.interface.send(part("words"))
    assert caught.value.scope == "interface"


async def test_a_group_that_became_a_supergroup_is_followed_and_remembered() -> None:
    values: dict[str, Json] = {}
    async with BotApi() as api:
        api.world.migrated[-55] = -10055
        async with telegram(api, values=values) as bot:
            await bot.interface.send(part("one", GROUP))
        async with telegram(api, values=values) as bot:
            await bot.interface.send(part("two", GROUP))
        assert api.world.texts(-10055) == ["one", "two"]
        assert [params["chat_id"] for method, params in api.world.calls if method == "sendMessage"] == [
            "-55",
            "-10055",
            "-10055",
        ]


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        (Fault(method="sendMessage", drop="before"), 0),
        (Fault(method="sendMessage", drop="after"), 1),
        (Fault(method="sendMessage", status=502, raw="<html>Bad Gateway</html>"), 0),
        (Fault(method="sendMessage", status=500, description="Internal Server Error"), 0),
        (Fault(method="sendMessage", raw='{"ok": true, "result": "of another kind: 4242:fake-token"}'), 0),
    ],
)
async def test_what_may_go_better_later_is_left_to_the_outbox(fault: Fault, sent: int) -> None:
    async with BotApi() as api, telegram(api) as bot:
        api.world.faults.append(fault)
        with pytest.raises((Unreachable, TelegramServerError)) as caught:
            await bot.interface.send(part("words of somebody"))
        assert not isinstance(caught.value, DeliveryError)
        shown = f"{caught.value!r} {caught.value}"
        assert api.world.token not in shown
        assert "fake-token" not in shown
        assert "words of somebody" not in shown
        assert len(api.world.sent()) == sent


async def test_the_token_is_in_no_error() -> None:
    async with BotApi() as api, telegram(api) as bot:
        api.world.files["f"] = b"x" * 10
        assert bot.interface._connection is not None
        client = bot.interface._connection.client
        with pytest.raises(Unreachable) as caught:
            async for _ in client.content("documents/missing", 5):
                pass
        assert caught.value.__cause__ is None
        assert api.world.token not in repr(caught.value)
    with pytest.raises(Unreachable) as caught:
        await client.me()  # nobody listens any more
    assert api.world.token not in repr(caught.value)


def test_where_a_user_is_alone() -> None:
    interface = TelegramInterface()
    assert interface.private_address("7") == HERE
    assert interface.private_address("anonymous:-1") is None
