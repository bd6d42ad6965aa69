"""Two processes on one server: what one finishes while the other is about to claim it is not claimed any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.util import await_only

from core.contracts.deliveries import Part
from core.contracts.inputs import Address, Input, InputKind, Principal
from core.services import inbox, outbox
from core.storage import schema
from core.storage.server import ServerDatabase
from tests.support.database_servers import ServersOfTests

pytestmark = [pytest.mark.service, pytest.mark.parametrize("dialect", ["mariadb", "postgresql"])]

LANE = Address("fake", "a")
LATE_MS = 10 * max(inbox.LEASE_MS, outbox.LEASE_MS)


@asynccontextmanager
async def two_processes(
    servers: ServersOfTests, dialect: str
) -> AsyncIterator[tuple[ServerDatabase, ServerDatabase]]:
    url = servers.url(dialect)
    one, other = ServerDatabase(url), ServerDatabase(url)
    await one.start()
    await schema.upgrade(one)
    await other.start()
    try:
        yield one, other
    finally:
        await one.stop()
        await other.stop()


async def meanwhile(
    one: ServerDatabase, ends: Callable[[Any], None], other: ServerDatabase, claims: Callable[[Any], Any]
) -> Any:
    """Return what `claims` returns when `ends` is committed between what it reads and what it writes."""
    has_read = asyncio.Event()
    claiming: list[asyncio.Future[Any]] = []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if claiming and statement.startswith("UPDATE"):
            has_read.set()

    def end(conn: Any) -> None:
        ends(conn)
        claiming.append(asyncio.ensure_future(other.transact(claims)))
        await_only(has_read.wait())

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await one.transact(end)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return await claiming[0]


async def test_an_input_that_was_finished_is_not_claimed(dialect: str, database_servers: ServersOfTests) -> None:
    async with two_processes(database_servers, dialect) as (one, other):
        input = Input(
            kind=InputKind.MESSAGE, principal=Principal("fake", "1"), address=LANE, dedupe_key="k", text="hello"
        )
        await one.transact(lambda conn: inbox.put(conn, input, 0, passes_lanes=False))
        claimed = await one.transact(lambda conn: inbox.claim_head(conn, str(LANE), "one", 0))
        assert claimed is not None
        taken = await meanwhile(
            one,
            lambda conn: inbox.finish(conn, claimed.lease),
            other,
            lambda conn: inbox.claim_head(conn, str(LANE), "other", LATE_MS),
        )
        assert taken is None
        assert await one.read(_states("inbox")) == ["done"]


async def test_an_input_whose_claim_was_renewed_is_not_claimed(
    dialect: str, database_servers: ServersOfTests
) -> None:
    async with two_processes(database_servers, dialect) as (one, other):
        input = Input(
            kind=InputKind.MESSAGE, principal=Principal("fake", "1"), address=LANE, dedupe_key="k", text="hello"
        )
        await one.transact(lambda conn: inbox.put(conn, input, 0, passes_lanes=False))
        claimed = await one.transact(lambda conn: inbox.claim_head(conn, str(LANE), "one", 0))
        assert claimed is not None
        taken = await meanwhile(
            one,
            lambda conn: inbox.check(conn, claimed.lease, LATE_MS),
            other,
            lambda conn: inbox.claim_head(conn, str(LANE), "other", LATE_MS),
        )
        assert taken is None
        await one.transact(lambda conn: inbox.finish(conn, claimed.lease))


async def test_a_part_that_was_sent_is_not_claimed(dialect: str, database_servers: ServersOfTests) -> None:
    async with two_processes(database_servers, dialect) as (one, other):
        part = Part(address=LANE, text="hello", body={}, id="")
        await one.transact(lambda conn: outbox.put(conn, [(part, 1e9)], 0, 0))
        [claimed] = await one.transact(lambda conn: outbox.claim_head(conn, str(LANE), "one", 0))
        assert claimed.claimed
        [again] = await meanwhile(
            one,
            lambda conn: outbox.sent(conn, claimed.row_id, claimed.epoch, "m1", 0),
            other,
            lambda conn: outbox.claim_head(conn, str(LANE), "other", LATE_MS),
        )
        assert not again.claimed
        assert await one.read(_states("outbox")) == ["sent"]


def _states(table: str) -> Callable[[Any], list[str]]:
    return lambda conn: list(conn.execute(text(f"SELECT state FROM {table}")).scalars())
