"""How what was done can be taken back: the action that does so, kept with it. Functions of a connection."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from core.contracts.actions import ActionEnvelope
from core.contracts.inputs import Address, Principal
from core.contracts.json import compact
from core.storage.tables import compensations

KEPT_MS = 30 * 24 * 3600 * 1000
_found = select(compensations.c.id, compensations.c.action, compensations.c.undo, compensations.c.undone_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensation:
    """What can be taken back: the type of the action that was done, and the action that takes it back.

    undone_by: the turn that took it back, or 0.
    """

    id: int
    action: str
    undo: ActionEnvelope
    undone_by: int = 0


def keep(
    conn: Any,
    *,
    turn_id: int,
    action_id: str,
    action: str,
    principal: Principal,
    lane: Address,
    undo: ActionEnvelope,
    now_ms: int,
) -> None:
    """Keep how an action that was done can be taken back."""
    values = {
        "turn_id": turn_id,
        "action_id": action_id,
        "action": action,
        "principal": str(principal),
        "lane": str(lane),
        "undo": compact(undo.as_json()),
        "undone_by": 0,
        "at_ms": now_ms,
    }
    conn.execute(insert(compensations), values)


def last(conn: Any, principal: Principal, lane: Address, but_turn: int) -> Compensation | None:
    """Return what a principal did last in a chat and can be taken back, not counting what `but_turn` did itself."""
    statement = (
        _found.where(
            compensations.c.principal == str(principal),
            compensations.c.undone_by == 0,
            compensations.c.lane == str(lane),
            compensations.c.turn_id != but_turn,
        )
        .order_by(compensations.c.id.desc())
        .limit(1)
    )
    return _read(conn.execute(statement).one_or_none())


def find(conn: Any, compensation_id: int) -> Compensation | None:
    """Return a compensation by its id, None when it is not kept any more."""
    return _read(conn.execute(_found.where(compensations.c.id == compensation_id)).one_or_none())


def _read(row: Any) -> Compensation | None:
    if row is None:
        return None
    undo = json.loads(row.undo)
    return Compensation(
        id=row.id,
        action=row.action,
        undo=ActionEnvelope(type=undo["type"], payload=undo["payload"]),
        undone_by=row.undone_by,
    )


def undone(conn: Any, compensation_id: int, turn_id: int) -> None:
    """Note that it was taken back, and by which turn."""
    conn.execute(update(compensations).where(compensations.c.id == compensation_id).values(undone_by=turn_id))


def forget_old(conn: Any, now_ms: int, limit: int = 500) -> None:
    """Delete what nobody will want to take back any more."""
    old = select(compensations.c.id).where(compensations.c.at_ms < now_ms - KEPT_MS).limit(limit)
    ids = list(conn.execute(old).scalars())
    if ids:
        conn.execute(delete(compensations).where(compensations.c.id.in_(ids)))
