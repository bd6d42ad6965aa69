"""What has to happen from time to time: approvals that expire, rows that need not be kept any more."""

from __future__ import annotations

from typing import Any

import structlog

from core.contracts.deliveries import Delivery, Part
from core.contracts.errors import CannotDeliver, StorageError
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Address, Origin, Principal
from core.services import approvals, budgets, compensations, inbox, notes, notices, outbox, pairings
from core.services.approvals import Approval
from core.turn.environment import TurnEnvironment

log = structlog.get_logger("rekku.housekeeping")


async def keep_house(env: TurnEnvironment) -> None:
    """Do what is due."""
    try:
        await expire_approvals(env)
        now_ms = env.clock.now_ms()
        await env.database.transact(lambda conn: forget_old(conn, now_ms), durable=False)
        pruned = await env.retention.prune(env.database, now_ms)
        if pruned:
            log.info("pruned", **pruned)
    except StorageError as error:
        log.warning("housekeeping waits for the database", error=str(error))


def forget_old(conn: Any, now_ms: int) -> None:
    """Delete what need not be kept any more."""
    inbox.forget_old(conn, now_ms)
    pairings.forget_old(conn, now_ms)
    notices.forget_old(conn, now_ms)
    compensations.forget_old(conn, now_ms)
    budgets.forget_old(conn, now_ms)
    notes.forget_old(conn, now_ms)


async def expire_approvals(env: TurnEnvironment) -> None:
    """Mark the approvals whose time is over, and tell those who asked."""
    now_ms = env.clock.now_ms()
    for approval in await env.database.read(lambda conn: approvals.overdue(conn, now_ms)):
        text = (
            f"The approval of {approval.envelope.type} has expired; it was not done. Ask again if it still matters."
        )
        principal, address = Principal.parse(approval.principal), Address.parse(approval.lane)
        context = TurnContext(
            turn_id=approval.turn_id,
            principal=principal,
            role=env.people.role(principal),
            address=address,
            origin=Origin.SYSTEM,
        )
        try:
            parts = await env.outgoing.prepare(context, Delivery(address=address, text=text))
        except CannotDeliver as error:
            log.warning("nobody can be told of an expired approval", approval=approval.id, error=str(error))
            parts = []
        await _expire(env, approval, parts, now_ms)


async def _expire(env: TurnEnvironment, approval: Approval, parts: list[tuple[Part, float]], now_ms: int) -> None:
    """Mark one and tell of it, both or neither."""

    def write(conn: Any) -> list[int]:
        if not approvals.expire(conn, approval.id):
            return []  # decided on meanwhile
        approvals.refuse(conn, approval, "Nobody approved it in time.", now_ms)
        return outbox.put(conn, parts, approval.turn_id, now_ms)

    rows = await env.database.transact(write)
    env.wake_outbox([(row, str(part.address)) for row, (part, _) in zip(rows, parts, strict=False)])
