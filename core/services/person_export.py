"""All that is stored of a person, a page of rows at a time: what is theirs alone, and nothing of others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, false, or_, select

from core.contracts.json import Json, JsonObject
from core.contracts.services import Database
from core.services.personal_data import HOLDINGS, Person, mine
from core.storage.tables import turns

ROWS_A_PAGE = 500
_AS_JSON = frozenset(("body", "payload", "output", "undo", "value"))
_OURS = frozenset(("lease_owner", "lease_epoch", "lease_until_ms"))
"""What only says which process works on a row."""

_OTHERS = frozenset(("approver", "decided_by"))
"""Columns that name who decided: left out where that is somebody else."""


async def tables(database: Database, person: Person) -> AsyncIterator[tuple[str, list[JsonObject]]]:
    """Yield (table, rows), page by page, the pages of a table one after another; a table without rows not at all."""
    theirs = select(turns.c.lane).where(turns.c.principal == str(person.principal)).distinct()
    chats = {*person.lanes, *await database.read(lambda conn: list(conn.execute(theirs).scalars()))}
    for table in dict.fromkeys(holding.column.table for holding in HOLDINGS):
        of_table = [holding for holding in HOLDINGS if holding.column.table is table and holding.exported]
        where = or_(false(), *(mine(holding, person) for holding in of_table))
        last: Sequence[Any] = ()
        while True:
            page = await database.read(lambda conn, t=table, w=where, after=last: _page(conn, t, w, after))  # type: ignore[misc]
            if page:
                yield table.name, [_shown(table.name, row, person, chats) for row in page]
            if len(page) < ROWS_A_PAGE:
                break
            last = [page[-1][column.name] for column in table.primary_key.columns]


def _page(conn: Any, table: Table, where: ColumnElement[bool], after: Sequence[Any]) -> list[JsonObject]:
    keys = list(table.primary_key.columns)
    statement = select(table).where(where).order_by(*keys).limit(ROWS_A_PAGE)
    if after:
        statement = statement.where(_behind(keys, after))
    return [dict(row._mapping) for row in conn.execute(statement)]


def _behind(keys: Sequence[Any], after: Sequence[Any]) -> ColumnElement[bool]:
    """Return what is true of the rows behind one, in the order of a key of one or more columns."""
    first, value = keys[0], after[0]
    if len(keys) == 1:
        return first > value  # type: ignore[no-any-return]
    return or_(first > value, and_(first == value, _behind(keys[1:], after[1:])))


def _shown(table: str, row: JsonObject, person: Person, chats: set[str]) -> JsonObject:
    """Return a row as it is exported. chats: those in which they have spoken."""
    shown: JsonObject = {}
    for name, value in row.items():
        if name in _OURS or (name in _OTHERS and value != str(person.principal)):
            continue
        shown[name] = _read(value) if name in _AS_JSON else value
    if table == "inbox":
        shown["body"] = _own_words(shown["body"])
    if table == "outbox" and row["address"] not in chats:
        del shown["address"]  # a trainer's, say, who was asked to approve something
    return shown


def _read(text: Any) -> Json:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def _own_words(body: Json) -> Json:
    """Return what an input says without what it quotes of others."""
    if not isinstance(body, dict) or "quoted" not in body:
        return body
    kept = [quoted if quoted.get("own") else {"relation": quoted.get("relation")} for quoted in body["quoted"]]
    return {**body, "quoted": kept}
