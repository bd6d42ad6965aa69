"""Telling a principal something that is told once in a while, and not with every message of theirs."""

from __future__ import annotations

from typing import Any

import structlog

from core.contracts.deliveries import Delivery, Part
from core.contracts.errors import CannotDeliver
from core.contracts.hooks import TurnContext
from core.services import notices, outbox
from core.services.notices import Notice
from core.turn.environment import TurnEnvironment

log = structlog.get_logger("rekku.people")

NOTICE_TTL_S = 3600.0


async def notice_parts(env: TurnEnvironment, turn: TurnContext, notice: Notice) -> list[tuple[Part, float]]:
    """Return what tells of a notice in the chat of `turn`; nothing when it cannot be told there, or was already."""
    principal = str(turn.principal)
    if not await env.database.read(lambda conn: notices.is_due(conn, principal, notice)):
        return []
    delivery = Delivery(address=turn.address, text=notice.text, ttl_s=NOTICE_TTL_S)
    try:
        return await env.outgoing.prepare(turn, delivery)
    except CannotDeliver as error:
        log.warning("a notice cannot be told", principal=principal, kind=notice.kind, error=error.explain())
        return []


def put_notice(
    conn: Any, turn: TurnContext, notice: Notice, parts: list[tuple[Part, float]], now_ms: int
) -> list[tuple[int, str]]:
    """Store the parts of a notice unless it was told meanwhile; return the ids and addresses of new outbox rows."""
    if not parts or not notices.take(conn, str(turn.principal), notice, now_ms):
        return []
    rows = outbox.put(conn, parts, turn.turn_id, now_ms)
    return list(zip(rows, (str(part.address) for part, _ in parts), strict=True))


async def tell_once(env: TurnEnvironment, turn: TurnContext, notice: Notice) -> list[tuple[int, str]]:
    """Tell a notice if it is due; return the ids and addresses of its outbox rows."""
    parts = await notice_parts(env, turn, notice)
    if not parts:
        return []
    now_ms = env.clock.now_ms()
    rows = await env.database.transact(lambda conn: put_notice(conn, turn, notice, parts, now_ms))
    env.wake_outbox(rows)
    return rows
