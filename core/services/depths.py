"""How much stands in the tables and waits. Functions of a connection; each reads what an index holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, select

from core.services import inbox as inbox_rows
from core.services import outbox as outbox_rows
from core.services.reminders import SCHEDULED
from core.storage.tables import inbox, outbox

PART_STATES = (*outbox_rows.OPEN, "sent", "dead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Depths:
    """inputs, parts: rows of the inbox that are open, and of the outbox, by state.

    lanes: how many have something open; deepest_lane: how much the fullest has. oldest_input_s, oldest_part_s,
    overdue_s: for how long the oldest input that could be worked on, the oldest unsent part and the oldest instant
    that is due have waited; 0.0 where none does. reminders: instants that are not dealt with yet.
    """

    inputs: Mapping[str, int]
    lanes: int
    deepest_lane: int
    oldest_input_s: float
    parts: Mapping[str, int]
    oldest_part_s: float
    reminders: int
    overdue_s: float


def depths(conn: Any, now_ms: int) -> Depths:
    """Return what waits at `now_ms` (UTC milliseconds)."""
    is_open = inbox.c.state.in_(inbox_rows.OPEN)
    by_state = select(inbox.c.state, func.count()).where(is_open).group_by(inbox.c.state)
    inputs = dict.fromkeys(inbox_rows.OPEN, 0) | {row[0]: row[1] for row in conn.execute(by_state)}
    by_lane = select(func.count().label("depth")).where(is_open).group_by(inbox.c.lane).subquery()
    lanes, deepest = conn.execute(select(func.count(), func.max(by_lane.c.depth)).select_from(by_lane)).one()
    # What has to wait for its time waits for nothing before that.
    began = case(
        (inbox.c.not_before_ms > inbox.c.received_at_ms, inbox.c.not_before_ms), else_=inbox.c.received_at_ms
    )
    waits = (inbox.c.state == "waiting", inbox.c.not_before_ms <= now_ms)
    parts = dict.fromkeys(PART_STATES, 0) | outbox_rows.counts(conn)
    unsent = outbox.c.state.in_(outbox_rows.OPEN)
    instants = (inbox.c.state == SCHEDULED,)
    return Depths(
        inputs=inputs,
        lanes=lanes,
        deepest_lane=deepest or 0,
        oldest_input_s=_age_s(conn, select(func.min(began)).where(*waits), now_ms),
        parts=parts,
        oldest_part_s=_age_s(conn, select(func.min(outbox.c.created_at_ms)).where(unsent), now_ms),
        reminders=conn.execute(select(func.count(inbox.c.id)).where(*instants)).scalar_one(),
        overdue_s=_age_s(
            conn, select(func.min(inbox.c.not_before_ms)).where(*instants, inbox.c.not_before_ms <= now_ms), now_ms
        ),
    )


def _age_s(conn: Any, oldest: Any, now_ms: int) -> float:
    at_ms: int | None = conn.execute(oldest).scalar()
    return 0.0 if at_ms is None else max(now_ms - at_ms, 0) / 1000
