"""The list of what is stored of a person is whole: a table or a column that it does not mention fails here."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, Integer, insert, select

from core.contracts.inputs import Address, Principal
from core.services import personal_data
from core.services.personal_data import COVERED, HOLDINGS, Erasure, Match, Person, condition, erased_name
from core.storage import schema
from core.storage.sqlite import SqliteDatabase
from core.storage.tables import metadata, notices, outbox, people, turns

NAMES_SOMEBODY = re.compile(
    r"principal|address|^lane$|author|approver|decided|name$|tell|asked|owner$|interface|session_id|turn_id"
)
OF_A_LEASE = "lease_owner"
PLAIN = {
    "asks": {"plugin", "engine"},
    "approvals": {"id", "action", "payload", "hash", "reason", "state", "scope"},
    "compensations": {"action_id", "action", "undo"},
    "events": {"event_id", "source", "cause", "correlation_id", "data", "outcome", "reason", "runs"},
    "inbox": {"dedupe_key", "kind", "body", "state"},
    "kv": {"value"},
    "ledger": {"action", "payload", "hash", "effect", "status", "reason", "output", "approval_id"},
    "messages": {"role", "text"},
    "notes": {"plugin", "text"},
    "notices": {"kind"},
    "outbox": {"text", "body", "state", "reason", "message_id"},
    "pairings": {"code"},
    "people": {"role"},
    "reminders": {"text", "mode", "start", "zone", "rule", "next_local", "missed", "state", "note"},
    "replies": {"engine", "model", "text", "finish_reason"},
    "sessions": {"engine", "model", "persona", "summary", "title", "strategy"},
    "turns": {"origin", "state", "reason"},
    "zones": {"zone"},
}
"""Texts that name nobody by their column: they go with their rows, which are found by another one."""


def test_every_table_is_mentioned() -> None:
    assert {holding.column.table.name for holding in HOLDINGS} == metadata.tables.keys()


def test_every_column_that_may_name_somebody_is_mentioned() -> None:
    known = {holding.name for holding in HOLDINGS} | COVERED.keys()
    columns = [column for table in metadata.sorted_tables for column in table.columns]
    naming = {f"{c.table.name}.{c.name}" for c in columns if NAMES_SOMEBODY.search(c.name) and c.name != OF_A_LEASE}
    assert naming - known == set(), "say in core/services/personal_data.py what becomes of it"
    assert COVERED.keys() <= naming
    assert not COVERED.keys() & {holding.name for holding in HOLDINGS}


def test_every_text_is_thought_of() -> None:
    known = {holding.name for holding in HOLDINGS} | COVERED.keys()
    texts = {
        f"{column.table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if not isinstance(column.type, BigInteger | Boolean | Integer) and column.name != OF_A_LEASE
    }
    plain = {f"{table}.{name}" for table, names in PLAIN.items() for name in names}
    assert texts - known == plain


def test_what_is_found_by_a_turn_goes_before_the_turns() -> None:
    order = [holding.name for holding in HOLDINGS]
    by_turn = [order.index(holding.name) for holding in HOLDINGS if holding.match is Match.TURN]
    assert max(by_turn) < order.index("turns.principal")


def test_no_platform_can_name_the_erased() -> None:
    name = erased_name("telegram")
    assert str(Principal.parse(name)) == str(Address.parse(name)) == name
    assert not Principal.parse(name).user_id.isalnum()


@pytest.fixture
async def database() -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(None)
    await database.start()
    await database.transact(schema.create_all)
    yield database
    await database.stop()


def delivery(address: str, turn_id: int = 0) -> Any:
    values = {"interface": "t", "text": "x", "body": "{}", "state": "sent", "expires_at_ms": 0, "created_at_ms": 0}
    return insert(outbox).values(address=address, turn_id=turn_id, **values)


def turn(principal: str, lane: str, origin: str = "user") -> Any:
    values = {"input_id": 1, "session_id": 1, "state": "complete", "started_at_ms": 5}
    return insert(turns).values(principal=principal, lane=lane, origin=origin, **values)


async def filled(database: SqliteDatabase, *statements: Any) -> None:
    await database.transact(lambda conn: [conn.execute(statement).rowcount for statement in statements])


async def found(database: SqliteDatabase, who: str) -> Person:
    principal = Principal.parse(who)
    private = Address(principal.interface, principal.user_id)
    return await database.read(lambda conn: personal_data.find(conn, principal, private))


async def test_a_private_chat_is_found_with_its_threads_and_no_other(database: SqliteDatabase) -> None:
    await filled(
        database, *(delivery(address) for address in ("t:ann", "t:ann/7", "t:anna", "t:ANN/7", "t:an_/7", "u:ann"))
    )
    person = await found(database, "t:ann")
    assert person.lanes == ["t:ann", "t:ann/7"]
    (holding,) = [one for one in HOLDINGS if one.name == "outbox.address"]
    of_them = select(outbox.c.address).where(condition(holding, person))
    assert await database.read(lambda conn: set(conn.execute(of_them).scalars())) == {"t:ann", "t:ann/7"}


async def test_a_chat_in_which_others_write_is_nobodys_alone(database: SqliteDatabase) -> None:
    await filled(database, turn("t:ann", "t:ann"), turn("t:bob", "t:ann", origin="system"))
    assert (await found(database, "t:ann")).lanes == ["t:ann"], "a reminder of somebody else's is no writing"
    await filled(database, turn("t:(erased)", "t:ann"))
    assert (await found(database, "t:ann")).lanes == ["t:ann"]
    await filled(database, turn("t:bob", "t:ann"))
    assert (await found(database, "t:ann")).lanes == ()


async def test_everybody_of_whom_something_is_stored_is_listed(database: SqliteDatabase) -> None:
    await filled(
        database,
        turn("t:ann", "t:ann"),
        turn("t:ann", "t:group"),
        turn("t:(erased)", "t:ann"),
        insert(people).values(principal="t:bob", role="user", name="Bob", since_ms=1, decided_by="t:boss"),
        insert(notices).values(principal="t:cat", kind="refused", at_ms=1),
    )
    assert await database.read(personal_data.everyone) == [
        {"principal": "t:ann", "role": "", "name": "", "turns": 2, "last_turn_ms": 5},
        {"principal": "t:bob", "role": "user", "name": "Bob", "turns": 0, "last_turn_ms": 0},
        {"principal": "t:cat", "role": "", "name": "", "turns": 0, "last_turn_ms": 0},
    ]


def test_what_only_names_them_is_not_exported() -> None:
    assert (
        {h.name for h in HOLDINGS if not h.exported}
        == {h.name for h in HOLDINGS if h.erasure is Erasure.BLANK}
        != set()
    )
