"""Killed again and again under load: every message is answered, and what is repeated is one part a lane and kill.

Counted at the platform. `REKKU_KILLS` and `REKKU_KILL_MESSAGES` make it longer.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from pathlib import Path

from tests.support.bot_api import BotApi, private

CHATS = (11, 12, 13, 14, 15, 16)
KILLS = int(os.environ.get("REKKU_KILLS", "3"))
MESSAGES = int(os.environ.get("REKKU_KILL_MESSAGES", "60"))
SEED = int(os.environ.get("REKKU_KILL_SEED", "5"))


async def start(home: Path, api: BotApi) -> asyncio.subprocess.Process:
    command = ("-m", "tests.support.telegram_child", str(home), api.base_url, api.world.token)
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )


def asks(number: int) -> str:
    """Return a message whose answer names it: what /help does not know it repeats."""
    return f"/nosuch{number:04d}"


def answered(api: BotApi, chat: int, number: int) -> int:
    return sum(asks(number) in text for text in api.world.texts(chat))


async def test_nothing_is_lost_at_any_kill(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    sent = [(CHATS[number % len(CHATS)], number) for number in range(MESSAGES)]
    share = -(-MESSAGES // KILLS)
    async with BotApi() as api:
        for round_ in range(KILLS):
            process = await start(tmp_path / "home", api)
            batch = sent[round_ * share : (round_ + 1) * share]
            before = len(api.world.sent())
            try:
                await api.world.until(lambda: any(m == "getUpdates" for m, _ in api.world.calls), timeout_s=60)
                for chat, number in batch:
                    api.world.say(private(chat, asks(number)))
                    await asyncio.sleep(dice.uniform(0, 0.01))
                some = dice.randint(1, max(len(batch) - 1, 1))
                await api.world.until(lambda b=before, s=some: len(api.world.sent()) >= b + s, timeout_s=60)  # type: ignore[misc]
                await asyncio.sleep(dice.uniform(0, 0.02))
            finally:
                process.kill()
                await process.wait()
        process = await start(tmp_path / "home", api)
        try:
            await api.world.until(lambda: all(answered(api, chat, number) for chat, number in sent), timeout_s=60)
            await api.world.until(lambda: not api.world.waiting, timeout_s=60)
            await asyncio.sleep(0.3)
        finally:
            process.kill()
            await process.wait()
        counts = {(chat, number): answered(api, chat, number) for chat, number in sent}
        repeated = Counter(chat for (chat, _), times in counts.items() for _ in range(times - 1))
        lanes = {chat: api.world.texts(chat) for chat in CHATS}
    print(f"{KILLS} kills, {len(sent)} messages, {sum(repeated.values())} parts repeated")
    assert min(counts.values()) >= 1
    assert max(repeated.values(), default=0) <= KILLS
    assert sum(len(texts) for texts in lanes.values()) == len(sent) + sum(repeated.values())
    for texts in lanes.values():
        assert list(dict.fromkeys(texts)) == sorted(dict.fromkeys(texts)), "the order of a lane was kept"
