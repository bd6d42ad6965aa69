"""The same turns through Telegram's HTTP: a Bot API in another process, long polling in, sendMessage out.

The seconds of a turn are taken by the Bot API: from the update that it has to the message that it accepts. Beside
each turn without a platform and each bare call of the same run they tell what the interface and its HTTP cost.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from aiohttp import ClientSession
from pydantic import SecretStr

from benchmarks.bare_calls import BareCalls
from benchmarks.chats import Chats
from benchmarks.conversations import SAID, WARM_UP
from benchmarks.figures import Figure, percentile
from benchmarks.installation import installation, settings_of
from core.app import App
from core.settings import Access
from interfaces.telegram import TelegramInterface
from interfaces.telegram.pace import Rates

TOKEN = "4242:fake-token-of-a-bot-that-is-not"
"""The one that the Bot API of the tests takes."""

UNLIMITED = Rates(overall=(10**6, 1), chat=(10**6, 1), group=(10**6, 1))
LONG, WARM, FIRST_SIDE = 7, 8, 100


class TelegramChats:
    """Chats of people with the bot, at the Bot API at `api_base`."""

    def __init__(self, client: ClientSession, api_base: str) -> None:
        self._client = client
        self._url = f"{api_base}/control/exchange"

    async def say(self, chat_id: int, text: str) -> float:
        """Take one turn and return its seconds."""
        async with self._client.post(self._url, json={"chat_id": chat_id, "text": text}) as response:
            answer = await response.json()
        return float(answer["result"])


def _telegram_app(home: Path, base_url: str, api_base: str) -> App:
    TelegramInterface.rates = UNLIMITED
    people = [LONG, WARM, *range(FIRST_SIDE, FIRST_SIDE + 1000)]
    settings = settings_of(
        home,
        base_url,
        access=Access.PAIRING,
        trainer_ids=frozenset(f"telegram:{person}" for person in people),
        telegram_bot_token=SecretStr(TOKEN),
        telegram_api_base=api_base,
    )
    return App(settings, serve=("telegram",))


async def telegram(home: Path, base_url: str, api_base: str, *, turns: int, at_once: int) -> list[Figure]:
    """Take turns in one chat, beside each one without a platform and a bare call; then in many chats at once."""
    chats = Chats()
    async with (
        _telegram_app(home / "served", base_url, api_base) as served,
        installation(home / "bare", base_url, chats),
        BareCalls(base_url) as bare,
        ClientSession() as client,
    ):
        people = TelegramChats(client, api_base)
        for number in range(WARM_UP):
            await people.say(WARM, SAID.format(number=number))
            await chats.say("warm up", SAID.format(number=number))
        through, without, alone = [], [], []
        for number in range(1, turns + 1):
            through.append(await people.say(LONG, SAID.format(number=number)))
            await served.drained()
            without.append(await chats.say("long", SAID.format(number=number)))
            began = time.perf_counter()
            await bare.call(4_000)
            alone.append(time.perf_counter() - began)

        async def conversation(chat_id: int, each: int) -> None:
            for number in range(1, each + 1):
                await people.say(chat_id, SAID.format(number=number))

        each = max(turns // at_once, 5)
        began = time.perf_counter()
        await asyncio.gather(*(conversation(FIRST_SIDE + chat, each) for chat in range(at_once)))
        elapsed = time.perf_counter() - began
        await served.drained()
    p50, p50_without, p50_alone = (percentile(each, 0.5) for each in (through, without, alone))
    return [
        Figure(name="turn through Telegram, p50", value=p50 * 1e3, unit="ms"),
        Figure(name="turn through Telegram, p99", value=percentile(through, 0.99) * 1e3, unit="ms"),
        Figure(name="turn without a platform beside it, p50", value=p50_without * 1e3, unit="ms"),
        Figure(name="bare SDK call beside it, p50", value=p50_alone * 1e3, unit="ms"),
        Figure(name="turn through Telegram to one without a platform, p50", value=p50 / p50_without, unit="times"),
        Figure(name="turn through Telegram to bare SDK call, p50", value=p50 / p50_alone, unit="times"),
        Figure(
            name=f"{at_once} chats at once through Telegram, turns a second",
            value=at_once * each / elapsed,
            unit="1/s",
        ),
    ]
