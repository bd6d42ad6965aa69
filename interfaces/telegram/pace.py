"""How fast may be sent: Telegram's limits, and the chats that it asked to leave alone for a while.

Source: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from core.contracts.errors import RetryLater
from interfaces.telegram.held_chats import HeldChats

LONGEST_WAIT_S = 1.5
"""Longer than a chat's second; who would have to wait longer comes again."""

MOST_CHATS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Each as (messages, seconds): a burst of that many, and that many in the long run.

    So a window of the seconds that Telegram counts over holds a burst and what comes behind it: 30 in any second over
    all, one a second in a chat, 20 in any minute in a group.
    """

    overall: tuple[float, float] = (5, 0.2)
    chat: tuple[float, float] = (1, 1)
    group: tuple[float, float] = (5, 20)


class Pace:
    """Lets calls through in time; who would have to wait long is sent away, so that no other chat waits for it."""

    def __init__(self, held: HeldChats, rates: Rates) -> None:
        self.held = held
        self._rates = rates
        self._overall = AsyncLimiter(*rates.overall)
        self._chats: OrderedDict[int, tuple[AsyncLimiter, ...]] = OrderedDict()

    async def enter(self, chat_id: int) -> None:
        """Wait for a message's turn, for a second or two at most; raises RetryLater when that is not enough."""
        for limiter in (*self._of(chat_id), self._overall):
            left_s = self.held.left_s(chat_id)
            if left_s > 0:
                raise RetryLater(left_s)
            try:
                async with asyncio.timeout(LONGEST_WAIT_S):
                    await limiter.acquire()
            except TimeoutError:
                a_place_s = max(limiter.time_period / limiter.max_rate, 1.0)
                raise RetryLater(a_place_s, message="Telegram's rate limit is reached here.") from None
        left_s = self.held.left_s(chat_id)
        if left_s > 0:  # it was asked for while this one waited
            raise RetryLater(left_s)

    async def has_room(self, chat_id: int) -> bool:
        """Take the place of an ephemeral call if there is one to spare; what matters goes first."""
        if self.held.left_s(chat_id) > 0 or not self._overall.has_capacity(max(self._overall.max_rate / 2, 1)):
            return False
        await self._overall.acquire()
        return True

    async def has_room_to_say(self, chat_id: int) -> bool:
        """Likewise for a message of which nothing depends."""
        limiters = self._of(chat_id)
        if not all(limiter.has_capacity() for limiter in limiters) or not await self.has_room(chat_id):
            return False
        for limiter in limiters:
            await limiter.acquire()
        return True

    def _of(self, chat_id: int) -> tuple[AsyncLimiter, ...]:
        limiters = self._chats.pop(chat_id, ())
        if not limiters:
            rates = (self._rates.chat, self._rates.group) if chat_id < 0 else (self._rates.chat,)
            limiters = tuple(AsyncLimiter(*rate) for rate in rates)
        self._chats[chat_id] = limiters
        if len(self._chats) > MOST_CHATS:
            self._chats.popitem(last=False)
        return limiters
