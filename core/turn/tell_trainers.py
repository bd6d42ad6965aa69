"""Telling the trainers something that nobody has asked about: in their private chats, through the outbox."""

from __future__ import annotations

from typing import Any

import structlog

from core.contracts.deliveries import Delivery, Part
from core.contracts.errors import CannotDeliver
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Origin, Principal, Role
from core.services import outbox
from core.turn.environment import TurnEnvironment

log = structlog.get_logger("rekku.people")


async def tell_trainers(env: TurnEnvironment, text: str) -> None:
    """Write `text` to every trainer who can be reached; raises StorageError when it cannot be stored."""
    parts: list[tuple[Part, float]] = []
    for address in env.people.trainer_addresses():
        context = TurnContext(
            turn_id=0,
            principal=Principal(address.interface, address.chat_id),
            role=Role.TRAINER,
            address=address,
            origin=Origin.SYSTEM,
        )
        try:
            parts += await env.outgoing.prepare(context, Delivery(address=address, text=env.masker.text(text)))
        except CannotDeliver as error:
            log.warning("a trainer cannot be told", address=str(address), error=error.explain())
    now_ms = env.clock.now_ms()

    def write(conn: Any) -> list[int]:
        return outbox.put(conn, parts, 0, now_ms)

    rows = await env.database.transact(write) if parts else []
    env.wake_outbox([(row, str(part.address)) for row, (part, _) in zip(rows, parts, strict=True)])
