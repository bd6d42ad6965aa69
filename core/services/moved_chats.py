"""A chat that has another address from now on. Functions of a connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, or_, select, update

from core.contracts.inputs import Address
from core.storage.tables import (
    approvals,
    compensations,
    events,
    inbox,
    messages,
    notes,
    outbox,
    reminders,
    sessions,
    turns,
)

_LANES: tuple[Column[str], ...] = (
    inbox.c.lane,
    turns.c.lane,
    approvals.c.lane,
    reminders.c.address,
    reminders.c.asked_in,
    compensations.c.lane,
    events.c.lane,
    notes.c.address,
)


def move(conn: Any, old: Address, new: Address) -> list[tuple[int, str]]:
    """Rewrite an address, threads included, wherever it is stored; return the outbox rows (id, new address).

    A part that is being sent right now stays where it is. What becomes of the rest is known by nobody else: a part
    that somebody has read and not claimed cannot be claimed any more.
    """
    rows: list[tuple[int, str]] = []
    for lane in _LANES:
        for before, after in _names(conn, lane, old, new):
            conn.execute(update(lane.table).where(lane == before).values({lane.name: after}))
    for before, after in _names(conn, sessions.c.lane, old, new):
        _move_sessions(conn, before, after)
    for before, after in _names(conn, outbox.c.address, old, new):
        waiting = (outbox.c.address == before, outbox.c.state == "waiting")
        ids = list(conn.execute(select(outbox.c.id).where(*waiting).order_by(outbox.c.id)).scalars())
        values = {"address": after, "interface": new.interface, "lease_epoch": outbox.c.lease_epoch + 1}
        conn.execute(update(outbox).where(*waiting).values(**values))
        rows += [(row_id, after) for row_id in ids]
    return rows


def _names(conn: Any, column: Column[str], old: Address, new: Address) -> Iterator[tuple[str, str]]:
    """Yield (before, after) of the chat and of those of its threads that stand in a column."""
    chat = str(old)
    statement = select(column).where(or_(column == chat, column.startswith(f"{chat}/", autoescape=True))).distinct()
    for text in list(conn.execute(statement).scalars()):
        yield text, f"{new}{text.removeprefix(chat)}"


def _move_sessions(conn: Any, before: str, after: str) -> None:
    """Let the conversation go on under the new address, also where one was begun there already."""
    is_open = (sessions.c.closed_at_ms == 0,)
    here = select(sessions).order_by(sessions.c.picked.desc(), sessions.c.id.desc()).limit(1)
    old = conn.execute(here.where(sessions.c.lane == before, *is_open)).one_or_none()
    begun = conn.execute(here.where(sessions.c.lane == after, *is_open)).one_or_none()
    conn.execute(update(sessions).where(sessions.c.lane == before).values(lane=after))
    if old is None or begun is None:
        return
    if not begun.summarized_to:  # else it is a conversation of its own by now, and the old one is over
        conn.execute(update(messages).where(messages.c.session_id == old.id).values(session_id=begun.id))
        names = ("engine", "model", "persona", "strategy", "title", "summary", "summary_tainted", "summarized_to")
        kept = {name: getattr(begun, name) or getattr(old, name) for name in names}
        conn.execute(update(sessions).where(sessions.c.id == begun.id).values(**kept))
    picked = max(old.picked, begun.picked) + 1
    conn.execute(update(sessions).where(sessions.c.id == begun.id).values(picked=picked))
    conn.execute(update(sessions).where(sessions.c.id == old.id).values(closed_at_ms=max(begun.started_at_ms, 1)))
