"""Sessions and their history: what was said, inside a window that costs the same however long it gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from core.contracts.actions import MESSAGE_ACTION
from core.contracts.hooks import SessionView
from core.contracts.inputs import Address, Principal
from core.contracts.outcomes import OutcomeStatus
from core.contracts.prompts import Line
from core.contracts.steps import RecordedAction
from core.storage.tables import messages, sessions

LARGEST_WINDOW = 200
"""Rows of history that are read for a prompt at most."""

# Statements are built once: building one at every call costs as much as running it.
_begin = insert(sessions)
_append = insert(messages)
_open = (
    select(sessions)
    .where(sessions.c.lane == bindparam("on_lane"), sessions.c.closed_at_ms == 0)
    .order_by(sessions.c.picked.desc(), sessions.c.id.desc())
    .limit(1)
)
_by_id = select(sessions).where(sessions.c.id == bindparam("session"))
_window = (
    select(
        messages.c.role, messages.c.text, messages.c.author, messages.c.tainted, messages.c.id, messages.c.principal
    )
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
    """A session of a lane. History up to row `summarized_to` stands in `summary` (or was cut)."""

    id: int
    lane: str
    title: str
    engine: str
    model: str
    persona: str
    strategy: str
    summary: str
    summary_tainted: bool
    summarized_to: int

    @property
    def view(self) -> SessionView:
        """What hooks see of it."""
        return SessionView(
            id=self.id, engine=self.engine, model=self.model, persona=self.persona, strategy=self.strategy
        )


def open_session(conn: Any, lane: str, now_ms: int) -> Session:
    """Return the current session of a lane; begins one where there is none."""
    row = conn.execute(_open, {"on_lane": lane}).one_or_none()
    if row is None:
        begin(conn, lane, now_ms)
        row = conn.execute(_open, {"on_lane": lane}).one()
    return _session(row)


def find(conn: Any, session_id: int, lane: str) -> Session | None:
    """Return a session, open or closed, if it is one of this lane's."""
    row = conn.execute(_by_id, {"session": session_id}).one_or_none()
    return None if row is None or row.lane != lane else _session(row)


def begin(conn: Any, lane: str, now_ms: int, **values: str | int) -> int:
    """Begin a session of a lane and return its id. values: of its engine, model, strategy, title and `picked`."""
    fields = {
        "lane": lane,
        "engine": "",
        "model": "",
        "persona": "",
        "summary": "",
        "summary_tainted": False,
        "summarized_to": 0,
        "started_at_ms": now_ms,
        "closed_at_ms": 0,
        "title": "",
        "strategy": "",
        "picked": 0,
    }
    return int(conn.execute(_begin, fields | values).inserted_primary_key[0])


def _session(row: Any) -> Session:
    return Session(
        id=row.id,
        lane=row.lane,
        title=row.title,
        engine=row.engine,
        model=row.model,
        persona=row.persona,
        strategy=row.strategy,
        summary=row.summary,
        summary_tainted=row.summary_tainted,
        summarized_to=row.summarized_to,
    )


def choose(conn: Any, lane: str, now_ms: int, **values: str) -> None:
    """Set the engine, model, persona or turn strategy of a lane's current session."""
    session = open_session(conn, lane, now_ms)
    conn.execute(update(sessions).where(sessions.c.id == session.id).values(**values))


def window(conn: Any, session: Session, *, reader: str, but_turn: int = -1, most: int = LARGEST_WINDOW) -> list[Line]:
    """Return the rows of history after the summary, oldest first, without those of turn `but_turn`.

    reader: the principal whose turn they are read for. What came of the turns of others is tainted for them, and
    what these said is foreign.
    """
    found = {"session": session.id, "after": session.summarized_to, "but_turn": but_turn, "most": most}
    rows = conn.execute(_window, found).all()
    lines = []
    for role, text, author, tainted, id, principal in reversed(rows):
        others = principal not in ("", reader)
        told = "foreign" if others and role == "user" else role
        lines.append(Line(role=told, text=text, author=author, tainted=tainted or others, id=id))
    return lines


def append(conn: Any, session_id: int, turn_id: int, lines: list[Line], now_ms: int, *, principal: Principal) -> None:
    """Write rows of history. principal: whose turn they came of, or who said what came of none (`turn_id` 0)."""
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
            "principal": str(principal),
        }
        for line in lines
    ]
    conn.execute(_append, values)


def said(action: RecordedAction, here: Address, tainted: bool) -> list[Line]:
    """Return the row of history of a message that an earlier run of its step has said in the chat `here`."""
    envelope = action.envelope
    if envelope.type != MESSAGE_ACTION or action.outcome.status is not OutcomeStatus.DONE:
        return []
    if envelope.payload.get("to") not in (None, str(here)):
        return []
    return [Line(role="assistant", text=str(envelope.payload.get("text", "")), tainted=tainted)]


def summarized(conn: Any, session_id: int, upto: int, text: str, tainted: bool) -> None:
    """Replace the history up to row `upto` by a summary ("": it is cut)."""
    conn.execute(_summarized, {"session": session_id, "upto": upto, "text": text, "mark": tainted})
