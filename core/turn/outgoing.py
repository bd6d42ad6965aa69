"""From a delivery to the rows of the outbox: the hook that sees every message, blocks that plugins render, and the
interface's own pure render."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.contracts.deliveries import Delivery, Part
from core.contracts.errors import CannotDeliver
from core.contracts.hooks import Block, TurnContext
from core.interface_base import InterfaceBase
from core.own_thread import in_own_thread
from core.services.foreign import ForeignCalls, Raised
from core.services.hooks import HookRunner
from core.services.mask import Masker
from core.services.slots import Slots
from core.turn.render_blocks import LONG_TEXT, render_blocks
from core.turn.stages.check_delivery import malformed_delivery, malformed_parts

RENDER_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Prepares deliveries."""

    interfaces: Callable[[], Mapping[str, InterfaceBase]]
    hooks: HookRunner
    foreign: ForeignCalls
    masker: Masker
    slots: Slots

    async def prepare(self, turn: TurnContext, delivery: Delivery) -> list[tuple[Part, float]]:
        """Return the parts of a delivery with their time to live in seconds; raises CannotDeliver."""
        changed = await self.hooks.chain("before_delivery", turn, delivery)
        if not isinstance(changed, Delivery):
            reason = changed.reason if isinstance(changed, Block) else "a hook answered for it"
            raise CannotDeliver(f"The message was held back: {reason}")
        if wrong := malformed_delivery(changed):
            raise CannotDeliver(f"The message is no message: {wrong}.")
        text = self.masker.text(await render_blocks(turn, changed, self.slots, self.foreign))
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
            # In a thread of its own: one that hangs must not use up those which all others share.
            return await in_own_thread(lambda: interface.render(final), label)

        label = f"render of {final.address.interface}"
        rendered = await self.foreign.call(label, render, RENDER_DEADLINE_S)
        if isinstance(rendered, Raised):
            raise CannotDeliver(f"The message could not be rendered: {rendered.sentence}")
        if wrong := malformed_parts(rendered.value, final.address):
            raise CannotDeliver(f"{final.address.interface} made something of it that cannot be kept: {wrong}.")
        return [(part, final.ttl_s) for part in rendered.value]
