"""How fast may be sent: Telegram's limits, and the chats that it asked to leave alone for a while.

Source: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from core.contracts.errors import RetryLater
from core.contracts.services import Clock

LONGEST_WAIT_S = 1.0
MOST_CHATS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Each as (messages, seconds): bursts of that many, and that many in the long run.

    A chat takes one a second; short bursts are let through, so that the parts of a long reply need not wait.
    """

    overall: tuple[float, float] = (30, 1)
    chat: tuple[float, float] = (3, 3)
    group: tuple[float, float] = (20, 60)


class Pace:
    """Lets calls through in time; who would have to wait long is sent away, so that no other chat waits for it."""

    def __init__(self, clock: Clock, rates: Rates) -> None:
        self._clock = clock
        self._rates = rates
        self._overall = AsyncLimiter(*rates.overall)
        self._chats: OrderedDict[int, AsyncLimiter] = OrderedDict()
        self._held: dict[int, float] = {}

    async def enter(self, chat_id: int) -> None:
        """Wait for a message's turn, for about a second at most; raises RetryLater when that is not enough."""
        left_s = self.held_s(chat_id)
        if left_s > 0:
            raise RetryLater(left_s)
        for limiter in (self._of(chat_id), self._overall):
            try:
                async with asyncio.timeout(LONGEST_WAIT_S):
                    await limiter.acquire()
            except TimeoutError:
                raise RetryLater(LONGEST_WAIT_S, message="Telegram's rate limit is reached here.") from None

    def has_room(self, chat_id: int) -> bool:
        """Whether an ephemeral call may be made now; what matters goes first."""
        return self.held_s(chat_id) <= 0 and self._overall.has_capacity(max(self._overall.max_rate / 3, 1))

    def hold(self, chat_id: int, seconds: float) -> None:
        """Telegram asked to leave a chat alone."""
        self._held[chat_id] = max(self._held.get(chat_id, 0.0), self._clock.monotonic() + seconds)
        while len(self._held) > MOST_CHATS:
            self._held.pop(min(self._held, key=self._held.__getitem__))

    def held_s(self, chat_id: int) -> float:
        """Return for how many more seconds a chat is to be left alone."""
        left_s = self._held.get(chat_id, 0.0) - self._clock.monotonic()
        if left_s <= 0:
            self._held.pop(chat_id, None)
        return max(left_s, 0.0)

    def _of(self, chat_id: int) -> AsyncLimiter:
        limiter = self._chats.pop(chat_id, None)
        if limiter is None:
            limiter = AsyncLimiter(*(self._rates.group if chat_id < 0 else self._rates.chat))
        self._chats[chat_id] = limiter
        if len(self._chats) > MOST_CHATS:
            self._chats.popitem(last=False)
        return limiter
