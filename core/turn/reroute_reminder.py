"""A reminder that its chat cannot take goes to another chat of whoever set it, who so hears of it."""

from __future__ import annotations

from typing import Any

from core.contracts.deliveries import Part
from core.contracts.inputs import InputKind
from core.contracts.schedule import Reminder
from core.services import inbox, ledger, reminders
from core.services.outbox import PendingPart
from core.turn.environment import TurnEnvironment
from core.turn.fire_reminder import elsewhere


async def parts_instead(env: TurnEnvironment, dead: PendingPart, reason: str) -> list[tuple[Part, float]]:
    """Return what is to be sent in place of a part that can never be delivered; nothing where it is no reminder."""
    if not dead.turn_id:
        return []
    reminder = await env.database.read(lambda conn: _reminder_of(conn, dead.turn_id))
    # A part that went elsewhere already has another address: it is not sent around in circles.
    if reminder is None or reminder.address != dead.part.address:
        return []
    return await elsewhere(env, reminder, dead.part.text, reason)


def _reminder_of(conn: Any, turn_id: int) -> Reminder | None:
    """Return the reminder that a turn belongs to."""
    caused_by = inbox.load(conn, ledger.input_of(conn, turn_id))
    if caused_by is None or caused_by.kind is not InputKind.DUE:
        return None
    return reminders.by_id(conn, caused_by.data["reminder"])
