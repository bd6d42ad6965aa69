"""Notes that travel with the next message of a chat. Functions of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select, update

from core.contracts.prompts import Note
from core.storage.tables import notes

MOST_OF_A_PLUGIN = 10
MOST_IN_A_PROMPT = 20
KEPT_MS = 7 * 24 * 3600 * 1000

_put = insert(notes)
_for_turn = (
    select(notes.c.id, notes.c.plugin, notes.c.text, notes.c.tainted)
    .where(
        notes.c.address == bindparam("chat"),
        or_(notes.c.turn_id == 0, notes.c.turn_id == bindparam("turn")),
        notes.c.created_at_ms > bindparam("since"),
    )
    .order_by(notes.c.id)
    .limit(MOST_IN_A_PROMPT)
)


def put(conn: Any, plugin: str, address: str, text: str, tainted: bool, now_ms: int) -> None:
    """Add a note; of those of this plugin that wait in this chat the newest are kept."""
    values = {
        "plugin": plugin,
        "address": address,
        "text": text,
        "tainted": tainted,
        "turn_id": 0,
        "created_at_ms": now_ms,
    }
    conn.execute(_put, values)
    own = (notes.c.plugin == plugin, notes.c.address == address, notes.c.turn_id == 0)
    ids = list(conn.execute(select(notes.c.id).where(*own).order_by(notes.c.id.desc())).scalars())
    if len(ids) > MOST_OF_A_PLUGIN:
        conn.execute(delete(notes).where(notes.c.id.in_(ids[MOST_OF_A_PLUGIN:])))


def for_turn(conn: Any, address: str, turn_id: int, now_ms: int) -> list[Note]:
    """Return what a turn in a chat carries: what waits there, and what it carries already; oldest first."""
    found = {"chat": address, "turn": turn_id, "since": now_ms - KEPT_MS}
    rows = conn.execute(_for_turn, found)
    return [Note(id=row.id, plugin=row.plugin, text=row.text, tainted=row.tainted) for row in rows]


def carry(conn: Any, ids: Sequence[int], turn_id: int) -> None:
    """Note that a step of a turn has seen notes: no other turn will."""
    conn.execute(update(notes).where(notes.c.id.in_(ids)).values(turn_id=turn_id))


def end(conn: Any, turn_id: int) -> None:
    """Delete what a turn carried, now that it is over."""
    conn.execute(delete(notes).where(notes.c.turn_id == turn_id))


def forget_old(conn: Any, now_ms: int) -> int:
    """Delete what has waited too long, or was left by a turn that was cut off; return how many."""
    return int(conn.execute(delete(notes).where(notes.c.created_at_ms <= now_ms - KEPT_MS)).rowcount)
