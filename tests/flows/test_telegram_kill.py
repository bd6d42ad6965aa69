"""Killed and stopped again and again under load: every message is answered, and hardly any twice.

Counted at the platform. The default is small; REKKU_KILLS=200 REKKU_KILL_MESSAGES=1000 is the full form. The seed is
printed, so that a run that failed can be played again with REKKU_KILL_SEED.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.bot_api import BotApi, private
from tests.support.telegram_child import WRITERS
from tests.support.telegram_process import child, rekku

*CHATS, LAST = WRITERS
KILLS = int(os.environ.get("REKKU_KILLS", "2"))
MESSAGES = int(os.environ.get("REKKU_KILL_MESSAGES", "40"))
STARTING_S = 180.0
"""What the import of an SDK may take on a machine that has other work to do."""

PATIENCE_S = STARTING_S + MESSAGES / 5
WHILE_STARTING = 0.2
"""The share of kills that come at any moment of the start or soon after it, and not in the middle of the sending."""

STOP_S = 10.0
STOP_SLACK_S = 10.0


@dataclass(slots=True)
class Account:
    """What was said, and how often the platform has shown the answer of each."""

    api: BotApi
    said: list[tuple[int, int]] = field(default_factory=list)

    def say(self, number: int) -> None:
        chat = CHATS[number % len(CHATS)]
        self.said.append((chat, number))
        self.api.world.say(private(chat, asks(number), message_id=number + 1))

    def answered(self, chat: int, number: int) -> int:
        return sum(asks(number) in text for text in self.api.world.texts(chat))

    async def complete(self) -> None:
        """Wait until everything is answered and confirmed, and nothing more comes."""
        world = self.api.world
        await world.until(lambda: all(self.answered(*one) for one in self.said), timeout_s=PATIENCE_S)
        await world.until(lambda: not world.waiting, timeout_s=PATIENCE_S)
        world.say(private(LAST, asks(9999)))  # what would be repeated after a start is sent by the time that this is
        await world.until(lambda: world.texts(LAST), timeout_s=PATIENCE_S)

    @property
    def repeated(self) -> Counter[int]:
        """How many parts each chat was shown once more."""
        return Counter(chat for chat, number in self.said for _ in range(self.answered(chat, number) - 1))

    def assert_sound(self, most_repeated: int) -> None:
        """Nothing is lost, no lane has more repeats than that, nothing else was said, and each lane is in order."""
        lanes = {chat: self.api.world.texts(chat) for chat in CHATS}
        assert min(self.answered(*one) for one in self.said) >= 1
        assert max(self.repeated.values(), default=0) <= most_repeated
        assert sum(map(len, lanes.values())) == len(self.said) + self.repeated.total()
        for texts in lanes.values():
            assert list(dict.fromkeys(texts)) == sorted(dict.fromkeys(texts))


def asks(number: int) -> str:
    """Return a message whose answer names it: what /help does not know it repeats."""
    return f"/nosuch{number:04d}"


async def ended(process: asyncio.subprocess.Process, with_signal: signal.Signals) -> int:
    """Signal a process, if it still runs, and return its exit code; its output is read, so that it never blocks."""
    if process.returncode is None:
        process.send_signal(with_signal)
    await process.communicate()
    assert process.returncode is not None
    return process.returncode


async def test_nothing_is_lost_at_any_kill(tmp_path: Path) -> None:
    seed = int(os.environ.get("REKKU_KILL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"REKKU_KILLS={KILLS} REKKU_KILL_MESSAGES={MESSAGES} REKKU_KILL_SEED={seed}")
    dice, home = random.Random(seed), tmp_path / "home"
    share = -(-MESSAGES // KILLS)
    async with BotApi() as api:
        world, account = api.world, Account(api)
        for round_ in range(KILLS):
            numbers = range(round_ * share, min((round_ + 1) * share, MESSAGES))
            process = await child(home, api)
            try:
                if dice.random() < WHILE_STARTING:
                    for number in numbers:
                        account.say(number)
                    await asyncio.sleep(dice.uniform(0, 4))  # a kill at a random moment is what is tested
                    continue
                calls, sent = len(world.calls), len(world.sent())
                fetches = lambda seen=calls: any(m == "getUpdates" for m, _ in world.calls[seen:])  # noqa: E731
                await world.until(fetches, timeout_s=STARTING_S)
                for number in numbers:
                    account.say(number)
                    await asyncio.sleep(dice.uniform(0, 0.01))
                some = sent + dice.randint(0, max(len(numbers) - 1, 1))
                await world.until(lambda some=some: len(world.sent()) >= some, timeout_s=PATIENCE_S)  # type: ignore[misc]
                await asyncio.sleep(dice.uniform(0, 0.02))
            finally:
                assert await ended(process, signal.SIGKILL) == -signal.SIGKILL
        process = await child(home, api)
        try:
            await account.complete()
        finally:
            await ended(process, signal.SIGKILL)
        repeated = account.repeated
        print(f"{KILLS} kills, {len(account.said)} messages, {repeated.total()} parts repeated in the one window")
        account.assert_sound(KILLS)
        assert repeated.total() <= KILLS * len(CHATS)


async def test_a_stop_under_load_ends_in_time_and_loses_nothing(tmp_path: Path) -> None:
    """The program itself, with Telegram's rate limits: most of what is said still waits when the signal comes."""
    home = tmp_path / "home"
    async with BotApi() as api:
        world, account = api.world, Account(api)
        process = await rekku(home, api, "run")
        try:
            for number in range(4 * len(CHATS)):
                account.say(number)
            await world.until(lambda: len(world.sent()) >= len(CHATS), timeout_s=STARTING_S)
            began_s = time.monotonic()
            assert await ended(process, signal.SIGTERM) == 0
            took_s = time.monotonic() - began_s
        finally:
            await ended(process, signal.SIGKILL)
        print(f"ended {took_s:.1f} s after the signal, {len(world.sent())} of {len(account.said)} answered by then")
        process = await rekku(home, api, "run")
        try:
            await account.complete()
        finally:
            await ended(process, signal.SIGKILL)
    assert took_s < STOP_S + STOP_SLACK_S
    account.assert_sound(0)
