"""The actions that a plugin's process runs now: what it shows meanwhile, and what it calls inside of them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from core.ai_plugin_base import current_action
from core.contracts.actions import ActionContext
from core.contracts.json import Json, JsonObject
from core.contracts.services import Clock, PluginContext
from core.isolation.printed import Allowance

CALLS_END_WITHIN_S = 0.5
LONGEST_SHOWN = 2000


class Acting:
    """The actions of one plugin, by a number that its process knows them by."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._running: dict[int, ActionContext] = {}
        self._calls: dict[int, set[asyncio.Task[Json]]] = {}
        self._shown = Allowance()

    @contextmanager
    def run(self, ctx: ActionContext) -> Iterator[int]:
        """Give an action that runs a number, for as long as it does."""
        number = next(self._numbers)
        self._running[number], self._calls[number] = ctx, set()
        try:
            yield number
        finally:
            del self._running[number], self._calls[number]

    def now(self) -> int:
        """Return the number of the action inside of which this runs; 0 for none, or one that has ended."""
        ctx = current_action.get(None)
        return next((number for number, one in self._running.items() if one is ctx), 0)

    def tainted(self, number: int) -> bool:
        """Whether an action has seen text from outside."""
        return number in self._running and self._running[number].tainted

    def show(self, number: int, text: str) -> None:
        """Show the progress of an action that runs, unless too much is shown."""
        if number in self._running and self._shown.take(self._clock.monotonic()):
            self._running[number].progress(text[:LONGEST_SHOWN])

    async def call(self, context: PluginContext, plugin: str, action: str, payload: JsonObject) -> Json:
        """Run an action of another plugin inside of the one that runs; it ends with that one."""
        calling = context.services.call_plugin(plugin, action, payload)
        own = self._calls.get(self.now())
        if own is None:
            return await calling  # refused, since nothing runs
        task = asyncio.ensure_future(calling)
        own.add(task)
        task.add_done_callback(own.discard)
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def end_calls(self, number: int) -> None:
        """End what an action has called, since its own end will not be seen: each is written down before it is."""
        calls = set(self._calls[number])
        for call in calls:
            call.cancel()
        if calls:
            await asyncio.wait(calls, timeout=CALLS_END_WITHIN_S)
