"""The history of events in the database. Functions of a connection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, func, insert, or_, select

from core.contracts.json import JsonObject, compact
from core.services.event_history import EventRecord, concerns, is_routine, stored_runs
from core.storage.tables import events

PAGE = 500
LONGEST_LANE = 400
LONGEST_KEY = 190


def put(conn: Any, records: Sequence[EventRecord]) -> None:
    """Write records, in their order."""
    conn.execute(insert(events), [_values(record) for record in records])


def _values(record: EventRecord) -> JsonObject:
    event = record.event
    return {
        "event_id": event.id,
        "name": event.name,
        "source": event.source[:LONGEST_KEY],
        "cause": event.cause,
        "correlation_id": event.correlation_id[:LONGEST_KEY],
        # What is too long for a principal or an address is none.
        "principal": record.principal if len(record.principal) <= LONGEST_KEY else "",
        "lane": record.lane if len(record.lane) <= LONGEST_LANE else "",
        "data": compact(event.data),
        "outcome": record.end.value,
        "reason": record.reason,
        "runs": stored_runs(record.runs),
        "at_ms": event.at_ms,
    }


def listing(
    conn: Any,
    limit: int,
    *,
    name: str = "",
    plugin: str = "",
    correlation: str = "",
    after: int = 0,
    routine: bool = True,
) -> list[JsonObject]:
    """Return records as JSON, the newest first, each with its `row`; see `concerns`.

    after: newer than that row. routine: also those of `is_routine`.
    """
    where = [events.c.id > after]
    if correlation:
        where.append(events.c.correlation_id == correlation)
    if literal := name.partition("*")[0]:
        where.append(events.c.name.startswith(literal, autoescape=True))
    if plugin:
        told = events.c.runs.contains(compact({"plugin": plugin})[1:-1], autoescape=True)
        where.append(or_(events.c.source == plugin, told))
    found: list[JsonObject] = []
    before: int | None = None
    while len(found) < limit:
        older = [] if before is None else [events.c.id < before]
        page = select(events).where(and_(*where, *older)).order_by(events.c.id.desc()).limit(PAGE)
        rows = conn.execute(page).all()
        found += [
            record
            for record in map(_record, rows)
            if concerns(record, name=name, plugin=plugin, correlation=correlation)
            and (routine or not is_routine(record))
        ]
        if len(rows) < PAGE:
            break
        before = rows[-1].id
    return found[:limit]


def newest(conn: Any) -> int:
    """Return the id of the newest row, 0 where there is none."""
    return conn.execute(select(func.max(events.c.id))).scalar() or 0


def _record(row: Any) -> JsonObject:
    return {
        "row": row.id,
        "id": row.event_id,
        "name": row.name,
        "at_ms": row.at_ms,
        "source": row.source,
        "cause": row.cause,
        "correlation_id": row.correlation_id,
        "data": json.loads(row.data),
        "end": row.outcome,
        "reason": row.reason,
        "runs": json.loads(row.runs),
    }
