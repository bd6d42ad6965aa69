"""What plugins may do in a conversation beside the model: show, note, and hear what is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from core.contracts.actions import Untrusted
from core.contracts.deliveries import DEFAULT_TIME_TO_LIVE_S
from core.contracts.inputs import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something that was said in a conversation, by either side, and is stored.

    role: "user" (whoever a turn is for), "assistant", or "foreign" (somebody else, a quote). author: a display name,
    for information alone. principal: whose turn it came of, as `interface:user_id`. turn_id: 0 where it came of none.
    tainted: it holds or follows text that its principal did not write. at_ms: UTC milliseconds.
    """

    address: Address
    role: str
    text: str
    author: str
    principal: str
    session_id: int
    turn_id: int
    tainted: bool
    at_ms: int


SaidHandler: TypeAlias = Callable[[Said], Awaitable[None] | None]


class Subscription(Protocol):
    """Something that a plugin hears until it is closed, or the plugin stops. dropped: what it was too slow for."""

    @property
    def dropped(self) -> int: ...

    def close(self) -> None:
        """Hear nothing any more."""


class PluginMessages(Protocol):
    """A plugin's part in the conversations, beside what its actions send."""

    async def show(self, address: Address, text: str, *, ttl_s: float = DEFAULT_TIME_TO_LIVE_S) -> None:
        """Deliver `text` (CommonMark, 64 KiB at most) to a chat; it is no part of the history the model sees.

        It goes through the outbox, and returns once it is stored there. ttl_s: seconds after which it is a dead
        letter. Raises CannotDeliver, also while 100 parts wait for that chat.
        """

    async def note(self, address: Address, text: str | Untrusted) -> None:
        """Add a note (4,000 characters at most) to the next message that somebody writes in a chat.

        The model sees it once, beside that message, throughout its turn; the user does not. `Untrusted` taints that
        turn. It is durable, for a week at most. Of a plugin's notes for one chat the newest ten are kept. Raises
        ValueError for a text that is empty or too long.
        """

    def subscribe(
        self, handler: SaidHandler, *, address: Address | None = None, timeout_s: float = 5.0
    ) -> Subscription:
        """Have `handler(said)` called with what is said in a chat, or in all of them, once it is stored.

        One call at a time, in order, each for `timeout_s` seconds at most; no turn waits for it. Of more than 100
        that wait the oldest are dropped. A plugin may have 20 subscriptions; raises ValueError for more.
        """
