"""Who hears what is said: plugins' handlers, called behind the transaction, none of them able to hold up a turn."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence

import structlog

from core.contracts.inputs import Address
from core.contracts.messages import Said, SaidHandler
from core.services.foreign import Behalf, ForeignCalls, Raised
from core.services.sync_or_async import invoke

log = structlog.get_logger("rekku.observers")

MOST_OF_A_PLUGIN = 20
MOST_WAITING = 100
MOST_WAITING_CHARACTERS = 4 * 1024 * 1024


class HeardBy:
    """One subscription: a queue of its own, and a task that empties it."""

    def __init__(
        self,
        observers: Observers,
        plugin: str,
        handler: SaidHandler,
        address: Address | None,
        timeout_s: float,
    ) -> None:
        self.plugin = plugin
        self.address = address
        self.dropped = 0
        self._observers = observers
        self._handler = handler
        self._timeout_s = timeout_s
        self._waiting: deque[Said] = deque()
        self._characters = 0
        self._news = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"{plugin} hears")

    def offer(self, said: Said) -> None:
        """Put something into the queue; never waits."""
        self._waiting.append(said)
        self._characters += len(said.text)
        while len(self._waiting) > MOST_WAITING or self._characters > MOST_WAITING_CHARACTERS:
            self._characters -= len(self._waiting.popleft().text)
            self.dropped += 1
            if self.dropped == 1:
                log.warning("a plugin is too slow for what it wants to hear", plugin=self.plugin)
        self._news.set()

    def close(self) -> None:
        """Hear nothing any more."""
        self._observers.forget(self)
        self._waiting.clear()
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                said = self._waiting.popleft()
                self._characters -= len(said.text)
                await self._hand(said)

    async def _hand(self, said: Said) -> None:
        called = self._observers.foreign.call(
            f"{self.plugin} hears",
            lambda: invoke(self._handler, said),
            self._timeout_s,
            self.plugin,
            behalf=Behalf(principal=said.principal, turn=f"turn-{said.turn_id}" if said.turn_id else ""),
        )
        answer = await called
        if isinstance(answer, Raised):
            log.warning(
                "what a plugin does with what it hears failed",
                plugin=self.plugin,
                error=answer.sentence,
                where=answer.where,
                raised=answer.error,
            )


class Observers:
    """All subscriptions of one app."""

    def __init__(self, foreign: ForeignCalls, *, told: bool = True) -> None:
        """told: whether they are told of anything; where nothing outside may be touched they are not."""
        self.foreign = foreign
        self._told = told
        self._subscriptions: list[HeardBy] = []

    @property
    def listening(self) -> bool:
        """Whether anybody hears anything."""
        return self._told and bool(self._subscriptions)

    def publish(self, said: Sequence[Said]) -> None:
        """Tell of what was said; never waits."""
        if not self._told:
            return
        for subscription in self._subscriptions:
            for one in said:
                if subscription.address in (None, one.address):
                    subscription.offer(one)

    def subscribe(self, plugin: str, handler: SaidHandler, *, address: Address | None, timeout_s: float) -> HeardBy:
        """Begin to tell a plugin; raises ValueError for what is no time, or too many subscriptions."""
        if not (math.isfinite(timeout_s) and timeout_s > 0):
            raise ValueError(f"timeout_s is {timeout_s}: a call takes more than 0 seconds")
        if sum(one.plugin == plugin for one in self._subscriptions) >= MOST_OF_A_PLUGIN:
            raise ValueError(f"{plugin} has {MOST_OF_A_PLUGIN} subscriptions, which is the most.")
        subscription = HeardBy(self, plugin, handler, address, timeout_s)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: HeardBy) -> None:
        """Tell it no more."""
        self._subscriptions = [one for one in self._subscriptions if one is not subscription]
