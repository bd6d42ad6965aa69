"""An interface without a platform: it hands texts in, and notes the instant at which each reply is handed to it."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field

from core.contracts.deliveries import Activity, ActivityKind, Part, Receipt
from core.contracts.inputs import Address, Input, InputKind, Principal
from core.interface_base import InterfaceBase, Receive

OWNER = "owner"
LONGEST_S = 60.0
"""After that a turn of which nothing is expected is given up."""


@dataclass(slots=True)
class _Turn:
    reply: str = ""
    replied: asyncio.Future[float] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    ended: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Chats(InterfaceBase):
    """Any number of chats of one trainer, each with one turn at a time."""

    name = "chats"

    def __init__(self) -> None:
        self._turns: dict[Address, _Turn] = {}
        self._numbers = itertools.count(1)
        self._receive: Receive | None = None

    def local_trainers(self) -> frozenset[str]:
        return frozenset({OWNER})

    async def start(self, receive: Receive) -> None:
        self._receive = receive

    async def send(self, part: Part) -> Receipt:
        turn = self._turns.get(part.address)
        if turn is not None and not turn.replied.done():
            turn.replied.set_result(time.perf_counter())
            turn.reply = part.text
        return Receipt(message_id=part.id)

    async def activity(self, activity: Activity) -> None:
        turn = self._turns.get(activity.address)
        if activity.kind is ActivityKind.ENDED and turn is not None and not turn.ended.done():
            turn.ended.set_result(activity.result)

    async def stop(self) -> None:
        self._receive = None

    async def say(self, chat: str, text: str, *, until_ended: bool = True) -> float:
        """Take one turn and return its seconds, from the input handed in to the reply handed over for sending.

        until_ended: also wait, uncounted, until everything about the turn is written down. Raises RuntimeError when
        the turn did not go well: its figures would mean nothing.
        """
        turn, began = await self._begin(chat, text)
        seconds = await turn.replied - began
        if until_ended and await turn.ended != "complete":
            raise RuntimeError(f"The turn of {text!r} ended as {turn.ended.result()}: {turn.reply}")
        return seconds

    async def end_of(self, chat: str, text: str) -> str:
        """Take one turn, however it goes, and return how it ended; raises TimeoutError after a minute."""
        turn, _ = await self._begin(chat, text)
        async with asyncio.timeout(LONGEST_S):
            return await turn.ended

    async def _begin(self, chat: str, text: str) -> tuple[_Turn, float]:
        """Hand an input in, and return its turn and the instant."""
        assert self._receive is not None
        address = Address(self.name, chat)
        turn = self._turns[address] = _Turn()
        input = Input(
            kind=InputKind.MESSAGE,
            principal=Principal(self.name, OWNER),
            address=address,
            dedupe_key=f"{chat}-{next(self._numbers)}",
            text=text,
        )
        began = time.perf_counter()
        await self._receive(input)
        return turn, began
