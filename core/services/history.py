"""Sessions and their history: what was said, inside a window that costs the same however long it gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from core.contracts.hooks import SessionView
from core.contracts.prompts import Line
from core.storage.tables import messages, sessions

LARGEST_WINDOW = 200
"""Rows of history that are read for a prompt at most."""

_open = (
    select(sessions)
    .where(sessions.c.lane == bindparam("on_lane"), sessions.c.closed_at_ms == 0)
    .order_by(sessions.c.id.desc())
    .limit(1)
)
_window = (
    select(messages)
    .where(
        messages.c.session_id == bindparam("session"),
        messages.c.id > bindparam("after"),
        messages.c.turn_id != bindparam("but_turn"),
    )
    .order_by(messages.c.id.desc())
    .limit(bindparam("most"))
)
_summarized = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"), sessions.c.summarized_to < bindparam("upto"))
    .values(
        summary=bindparam("text"),
        summary_tainted=bindparam("mark"),
        summarized_to=bindparam("upto"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The open session of a lane. History up to row `summarized_to` stands in `summary` (or was cut)."""

    id: int
    engine: str
    model: str
    persona: str
    summary: str
    summary_tainted: bool
    summarized_to: int

    @property
    def view(self) -> SessionView:
        """What hooks see of it."""
        return SessionView(id=self.id, engine=self.engine, model=self.model, persona=self.persona)


def open_session(conn: Any, lane: str, now_ms: int) -> Session:
    """Return the open session of a lane; begins one where there is none."""
    row = conn.execute(_open, {"on_lane": lane}).one_or_none()
    if row is None:
        values = {
            "lane": lane,
            "engine": "",
            "model": "",
            "persona": "",
            "summary": "",
            "summary_tainted": False,
            "summarized_to": 0,
            "started_at_ms": now_ms,
            "closed_at_ms": 0,
        }
        conn.execute(insert(sessions), values)
        row = conn.execute(_open, {"on_lane": lane}).one()
    return Session(
        id=row.id,
        engine=row.engine,
        model=row.model,
        persona=row.persona,
        summary=row.summary,
        summary_tainted=row.summary_tainted,
        summarized_to=row.summarized_to,
    )


def close_session(conn: Any, lane: str, now_ms: int) -> None:
    """End a lane's session; the next turn begins a new one, with the same engine and model."""
    old = open_session(conn, lane, now_ms)
    conn.execute(update(sessions).where(sessions.c.id == old.id).values(closed_at_ms=max(now_ms, 1)))
    new = open_session(conn, lane, now_ms)
    conn.execute(update(sessions).where(sessions.c.id == new.id).values(engine=old.engine, model=old.model))


def choose(conn: Any, lane: str, now_ms: int, **values: str) -> None:
    """Set the engine, model or persona of a lane's session."""
    session = open_session(conn, lane, now_ms)
    conn.execute(update(sessions).where(sessions.c.id == session.id).values(**values))


def window(conn: Any, session: Session, but_turn: int, most: int = LARGEST_WINDOW) -> list[Line]:
    """Return the rows of history after the summary, oldest first, without those of turn `but_turn`."""
    found = {"session": session.id, "after": session.summarized_to, "but_turn": but_turn, "most": most}
    rows = conn.execute(_window, found).all()
    return [
        Line(role=row.role, text=row.text, author=row.author, tainted=row.tainted, id=row.id)
        for row in reversed(rows)
    ]


def append(conn: Any, session_id: int, turn_id: int, lines: list[Line], now_ms: int) -> None:
    """Write rows of history."""
    if not lines:
        return
    values = [
        {
            "session_id": session_id,
            "turn_id": turn_id,
            "role": line.role,
            "author": line.author[:190],
            "text": line.text,
            "tainted": line.tainted,
            "at_ms": now_ms,
        }
        for line in lines
    ]
    conn.execute(insert(messages), values)


def summarized(conn: Any, session_id: int, upto: int, text: str, tainted: bool) -> None:
    """Replace the history up to row `upto` by a summary ("": it is cut)."""
    conn.execute(_summarized, {"session": session_id, "upto": upto, "text": text, "mark": tainted})
