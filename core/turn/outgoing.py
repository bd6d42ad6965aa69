"""From a delivery to the rows of the outbox: the hook that sees every message, and the interface's pure render."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.contracts.deliveries import Delivery, Part
from core.contracts.errors import CannotDeliver
from core.contracts.hooks import Block, TurnContext
from core.contracts.inputs import Address
from core.interface_base import InterfaceBase
from core.services.foreign import ForeignCalls, Raised
from core.services.hooks import HookRunner
from core.services.mask import Masker

RENDER_DEADLINE_S = 10.0
LONG_TEXT = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Prepares deliveries."""

    interfaces: Callable[[], Mapping[str, InterfaceBase]]
    hooks: HookRunner
    foreign: ForeignCalls
    masker: Masker

    async def prepare(self, turn: TurnContext, delivery: Delivery) -> list[tuple[Part, float]]:
        """Return the parts of a delivery with their time to live in seconds; raises CannotDeliver."""
        changed = await self.hooks.chain("before_delivery", turn, delivery)
        if not isinstance(changed, Delivery):
            reason = changed.reason if isinstance(changed, Block) else "a hook answered for it"
            raise CannotDeliver(self.masker.text(f"The message was held back: {reason}"))
        if not (isinstance(changed.text, str) and isinstance(changed.address, Address)):
            raise CannotDeliver("The message is no message: it has no text, or no address.")
        text = self.masker.text(changed.text)
        final = (
            changed
            if text == changed.text
            else Delivery(
                address=changed.address,
                text=text,
                buttons=changed.buttons,
                ttl_s=changed.ttl_s,
                tainted=changed.tainted,
            )
        )
        interface = self.interfaces().get(final.address.interface)
        if interface is None:
            known = ", ".join(sorted(self.interfaces())) or "none"
            raise CannotDeliver(
                f"There is no interface {final.address.interface}.", cure=f"The interfaces that run: {known}."
            )

        async def render() -> list[Part]:
            # Pure and fast for what people write; a long text must not hold up the other chats.
            if len(text) <= LONG_TEXT:
                return interface.render(final)
            return await asyncio.to_thread(interface.render, final)

        rendered = await self.foreign.call(f"render of {final.address.interface}", render, RENDER_DEADLINE_S)
        if isinstance(rendered, Raised):
            raise CannotDeliver(self.masker.text(f"The message could not be rendered: {rendered.sentence}"))
        try:
            for part in rendered.value:
                json.dumps([part.text, part.body, str(part.address)])
        except (TypeError, ValueError, AttributeError) as error:
            raise CannotDeliver(
                f"{final.address.interface} made something of it that cannot be kept: {error}"
            ) from error
        return [(part, final.ttl_s) for part in rendered.value]
