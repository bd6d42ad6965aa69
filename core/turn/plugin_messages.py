"""A plugin's part in the conversations: what it shows, what it notes, and what it hears."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.contracts.actions import Untrusted
from core.contracts.deliveries import DEFAULT_TIME_TO_LIVE_S, Delivery
from core.contracts.errors import CannotDeliver
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Address, Origin, Principal, Role
from core.contracts.messages import SaidHandler, Subscription
from core.services import notes, outbox
from core.services.budgets import PLUGINS
from core.services.observers import HeardBy
from core.turn.environment import TurnEnvironment

LONGEST_SHOWN = 64 * 1024
LONGEST_NOTE = 4000
MOST_WAITING = 100
"""Parts for one chat."""


class MessagesOfPlugin:
    """The `PluginMessages` of one plugin."""

    def __init__(self, plugin: str, env: Callable[[], TurnEnvironment]) -> None:
        self._plugin = plugin
        self._env = env
        self._subscriptions: list[HeardBy] = []
        self._open = True

    def close(self) -> None:
        """End every subscription: the plugin has stopped."""
        self._open = False
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []

    async def show(self, address: Address, text: str, *, ttl_s: float = DEFAULT_TIME_TO_LIVE_S) -> None:
        """Deliver a text that is no part of the history."""
        env = self._env()
        if not self._open:
            raise CannotDeliver(f"{self._plugin} has stopped and shows nothing any more.")
        if not isinstance(text, str) or not 0 < len(text.encode("utf-8", "replace")) <= LONGEST_SHOWN:
            raise CannotDeliver(f"What {self._plugin} shows is no text of at most {LONGEST_SHOWN} bytes.")
        context = TurnContext(
            turn_id=0,
            principal=Principal(PLUGINS, self._plugin),
            role=Role.USER,
            address=address,
            origin=Origin.SYSTEM,
        )
        parts = await env.outgoing.prepare(context, Delivery(address=address, text=text, ttl_s=ttl_s))
        now_ms = env.clock.now_ms()

        def write(conn: Any) -> list[int]:
            if outbox.waiting_for(conn, str(address)) >= MOST_WAITING:
                raise CannotDeliver(f"{MOST_WAITING} parts wait for {address} already.")
            return outbox.put(conn, parts, 0, now_ms)

        rows = await env.database.transact(write)
        env.wake_outbox(list(zip(rows, (str(part.address) for part, _ in parts), strict=True)))

    async def note(self, address: Address, text: str | Untrusted) -> None:
        """Add a note to the next message of a chat."""
        env = self._env()
        said = text.text if isinstance(text, Untrusted) else text
        if not self._open or not isinstance(said, str) or not said.strip() or len(said) > LONGEST_NOTE:
            raise ValueError(f"A note of {self._plugin} is a text of 1 to {LONGEST_NOTE} characters, while it runs.")
        masked, now_ms = env.masker.text(said), env.clock.now_ms()
        tainted = isinstance(text, Untrusted)
        await env.database.transact(lambda conn: notes.put(conn, self._plugin, str(address), masked, tainted, now_ms))

    def subscribe(
        self, handler: SaidHandler, *, address: Address | None = None, timeout_s: float = 5.0
    ) -> Subscription:
        """Hear what is said in a chat, or in all."""
        if not self._open:
            raise ValueError(f"{self._plugin} has stopped and hears nothing any more.")
        subscription = self._env().observers.subscribe(self._plugin, handler, address=address, timeout_s=timeout_s)
        self._subscriptions.append(subscription)
        return subscription
