"""A plugin's part in the conversations, from a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.contracts.actions import Untrusted
from core.contracts.deliveries import DEFAULT_TIME_TO_LIVE_S
from core.contracts.inputs import Address
from core.contracts.messages import SaidHandler, Subscription
from core.isolation.child_functions import ChildFunctions
from core.isolation.peer import Peer
from core.services.observers import MOST_OF_A_PLUGIN
from core.services.sync_or_async import invoke


@dataclass(slots=True, eq=False)
class ChildHearing:
    """A `Subscription` of what is said. dropped: as Rekku said with what was heard last."""

    _end: Callable[[ChildHearing], None]
    dropped: int = 0
    number: int = 0

    def close(self) -> None:
        """Hear nothing any more."""
        self._end(self)


@dataclass(frozen=True, slots=True)
class ChildMessages:
    """The plugin's `PluginMessages`."""

    plugin: str
    peer: Peer
    functions: ChildFunctions
    heard: list[ChildHearing] = field(default_factory=list)

    async def show(self, address: Address, text: str, *, ttl_s: float = DEFAULT_TIME_TO_LIVE_S) -> None:
        """Deliver a text that is no part of the history."""
        await self.peer.call("messages.show", address, text, ttl_s)

    async def note(self, address: Address, text: str | Untrusted) -> None:
        """Add a note to the next message of a chat."""
        await self.peer.call("messages.note", address, text)

    def subscribe(
        self, handler: SaidHandler, *, address: Address | None = None, timeout_s: float = 5.0
    ) -> Subscription:
        """Hear what is said in a chat, or in all."""
        if len(self.heard) >= MOST_OF_A_PLUGIN:
            raise ValueError(f"{self.plugin} has {MOST_OF_A_PLUGIN} subscriptions, which is the most.")
        hearing = ChildHearing(self._close)

        async def hear(said: Any, dropped: int) -> None:
            hearing.dropped = dropped
            await invoke(handler, said)

        hearing.number = self.functions.keep(hear, f"{self.plugin} hears")
        self.peer.tell("hear", hearing.number, address, timeout_s)
        self.heard.append(hearing)
        return hearing

    def _close(self, hearing: ChildHearing) -> None:
        if hearing in self.heard:
            self.heard.remove(hearing)
            self.functions.drop(hearing.number)
            self.peer.tell("hear_no_more", hearing.number)
