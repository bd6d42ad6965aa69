"""What others write about people: the command line changes roles while this process runs."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from core.contracts.deliveries import Delivery
from core.contracts.errors import CannotDeliver, StorageError
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Address, Origin, Principal
from core.services import outbox, roles
from core.turn.environment import TurnEnvironment

log = structlog.get_logger("rekku.people")

EVERY_S = 5.0


async def keep_people(env: TurnEnvironment) -> None:
    """Notice what has changed, until cancelled."""
    while True:
        try:
            await sync_people(env)
        except StorageError as error:
            log.warning("the roles cannot be read", error=str(error))
        await asyncio.sleep(EVERY_S)


async def sync_people(env: TurnEnvironment) -> None:
    """Read the roles again if they have changed, and tell those who were let in on the command line."""
    await env.people.refresh(env.database)
    for principal, address in await env.database.read(roles.untold):
        if address.interface in env.outgoing.interfaces():
            await _welcome(env, principal, address)


async def _welcome(env: TurnEnvironment, principal: Principal, address: Address) -> None:
    now_ms = env.clock.now_ms()
    context = TurnContext(
        turn_id=0, principal=principal, role=env.people.role(principal), address=address, origin=Origin.SYSTEM
    )
    try:
        parts = await env.outgoing.prepare(context, Delivery(address=address, text=roles.WELCOME))
    except CannotDeliver as error:
        log.warning("who was let in cannot be told", principal=str(principal), error=error.explain())
        parts = []

    def write(conn: Any) -> list[int]:
        return outbox.put(conn, parts, 0, now_ms) if roles.told(conn, principal) else []

    rows = await env.database.transact(write)
    env.wake_outbox([(row, str(part.address)) for row, (part, _) in zip(rows, parts, strict=False)])
