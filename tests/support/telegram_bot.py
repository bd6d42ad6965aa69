"""The Telegram interface without an app: what it hands in is kept, and its clock stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import SecretStr

from core.contracts.inputs import Accepted, Input
from core.contracts.json import Json
from core.contracts.services import PluginContext
from interfaces.telegram import TelegramInterface
from interfaces.telegram.pace import Rates
from tests.support.bot_api import BotApi
from tests.support.plugin_context import FakePluginContext
from tests.support.stepped_clock import SteppedClock
from tests.support.telegram_app import QUICK


class DictKeyValues:
    """A key-value store that forgets."""

    def __init__(self, values: dict[str, Json] | None = None) -> None:
        self.values: dict[str, Json] = {} if values is None else values

    async def get(self, key: str, default: Json = None) -> Json:
        return self.values.get(key, default)

    async def set(self, key: str, value: Json) -> None:
        self.values[key] = value

    async def delete(self, key: str) -> None:
        self.values.pop(key, None)


@dataclass(slots=True, kw_only=True)
class TelegramContext(FakePluginContext):
    """A context with a store of small values."""

    values: dict[str, Json] = field(default_factory=dict)

    @property
    def kv(self) -> DictKeyValues:
        return DictKeyValues(self.values)


class Inbox:
    """Stands for the core: keeps each input once. `failures` are raised first, one a call."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.calls = 0
        self.failures: list[Exception] = []
        self.before: Callable[[Input], None] = lambda _: None
        self._keys: dict[str, int] = {}

    async def receive(self, input: Input) -> Accepted:
        self.calls += 1
        self.before(input)
        if self.failures:
            raise self.failures.pop(0)
        known = self._keys.get(input.dedupe_key)
        if known is None:
            self.inputs.append(input)
            self._keys[input.dedupe_key] = len(self.inputs)
        return Accepted(input_id=self._keys[input.dedupe_key], duplicate=known is not None)

    @property
    def texts(self) -> list[str]:
        return [input.text for input in self.inputs]


@dataclass(slots=True, kw_only=True)
class Bot:
    """A started interface and what is around it."""

    interface: TelegramInterface
    inbox: Inbox
    clock: SteppedClock

    async def has(self, inputs: int, timeout_s: float = 10.0) -> list[Input]:
        """Wait until so many inputs have come in; return them."""
        async with asyncio.timeout(timeout_s):
            while len(self.inbox.inputs) < inputs:  # noqa: ASYNC110 - real work over a socket lies between
                await asyncio.sleep(0.005)
        return self.inbox.inputs


@asynccontextmanager
async def telegram(
    api: BotApi,
    *,
    inbox: Inbox | None = None,
    values: dict[str, Json] | None = None,
    rates: Rates = QUICK,
    prepare: Callable[[TelegramInterface], None] = lambda interface: None,
    **config: Any,
) -> AsyncIterator[Bot]:
    """Start the interface at `api`; `config` are keys of its table."""
    clock = SteppedClock()
    interface = TelegramInterface()
    given: dict[str, Any] = {"token": SecretStr(api.world.token), "api_base": api.base_url}
    interface.config = TelegramInterface.Config(**given | config)
    interface.context = cast(
        PluginContext,
        TelegramContext(name="telegram", clock=cast(Any, clock), values={} if values is None else values),
    )
    interface.rates = rates  # type: ignore[misc]
    prepare(interface)
    bot = Bot(interface=interface, inbox=inbox or Inbox(), clock=clock)
    await interface.start(bot.inbox.receive)
    try:
        yield bot
    finally:
        await interface.stop()
