"""The conversations of a lane: which there are, beginning another, going back to one, closing.

Functions of a connection.

One of a lane's open sessions is its current one: the one that was picked last. A closed one that is picked again is
open again, with its history and its summary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update

from core.services import history
from core.services.history import Session
from core.storage.tables import messages, sessions

LONGEST_TITLE = 100
_FIRST_WORDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSession:
    """A session as people are shown it. Times are UTC milliseconds, closed_at_ms 0 for an open one.

    begins_with: the first words that somebody said in it. last_at_ms: when something was last said, 0 if nothing was.
    """

    id: int
    lane: str
    title: str
    begins_with: str
    started_at_ms: int
    last_at_ms: int
    closed_at_ms: int
    current: bool
    rows: int


def listing(conn: Any, lane: str | None = None, *, limit: int) -> list[ListedSession]:
    """Return the sessions of a lane, or of all, those first that were picked or begun last."""
    statement = select(sessions).order_by(sessions.c.picked.desc(), sessions.c.id.desc()).limit(limit)
    if lane is not None:
        statement = statement.where(sessions.c.lane == lane)
    return [_listed(conn, row) for row in conn.execute(statement).all()]


def listed(conn: Any, session_id: int) -> ListedSession | None:
    """Return one session as people are shown it."""
    row = conn.execute(select(sessions).where(sessions.c.id == session_id)).one_or_none()
    return None if row is None else _listed(conn, row)


def begin_another(conn: Any, lane: str, title: str, now_ms: int) -> int:
    """Close the current session of a lane and begin another, with the same engine, model and turn strategy.

    Returns the id of the one that is over.
    """
    old = history.open_session(conn, lane, now_ms)
    _close(conn, old.id, now_ms)
    history.begin(
        conn,
        lane,
        now_ms,
        title=title[:LONGEST_TITLE],
        engine=old.engine,
        model=old.model,
        strategy=old.strategy,
        picked=_highest(conn, lane) + 1,
    )
    return old.id


def close(conn: Any, lane: str, now_ms: int) -> tuple[int, Session]:
    """Close the current session of a lane; return its id, and the session that is the current one now.

    That is the one picked last of those that are open, else a new one.
    """
    old = history.open_session(conn, lane, now_ms)
    _close(conn, old.id, now_ms)
    is_open = (sessions.c.lane == lane, sessions.c.closed_at_ms == 0)
    if not conn.execute(select(func.count()).select_from(sessions).where(*is_open)).scalar_one():
        picked = _highest(conn, lane) + 1
        history.begin(conn, lane, now_ms, engine=old.engine, model=old.model, strategy=old.strategy, picked=picked)
    return old.id, history.open_session(conn, lane, now_ms)


def pick(conn: Any, lane: str, session_id: int) -> bool:
    """Make a session of a lane its current one, opening it again if need be; False when it is none of this lane's."""
    if history.find(conn, session_id, lane) is None:
        return False
    picked = _highest(conn, lane) + 1
    conn.execute(update(sessions).where(sessions.c.id == session_id).values(picked=picked, closed_at_ms=0))
    return True


def _close(conn: Any, session_id: int, now_ms: int) -> None:
    conn.execute(update(sessions).where(sessions.c.id == session_id).values(closed_at_ms=max(now_ms, 1)))


def _highest(conn: Any, lane: str) -> int:
    return int(conn.execute(select(func.max(sessions.c.picked)).where(sessions.c.lane == lane)).scalar() or 0)


def _listed(conn: Any, row: Any) -> ListedSession:
    of_it = messages.c.session_id == row.id
    count, last = conn.execute(select(func.count(), func.max(messages.c.at_ms)).where(of_it)).one()
    first = select(messages.c.text).where(of_it, messages.c.role == "user").order_by(messages.c.id).limit(1)
    words = " ".join((conn.execute(first).scalar() or "")[: 4 * _FIRST_WORDS].split())
    current = conn.execute(
        select(sessions.c.id)
        .where(sessions.c.lane == row.lane, sessions.c.closed_at_ms == 0)
        .order_by(sessions.c.picked.desc(), sessions.c.id.desc())
        .limit(1)
    ).scalar()
    return ListedSession(
        id=row.id,
        lane=row.lane,
        title=row.title,
        begins_with=words if len(words) <= _FIRST_WORDS else f"{words[:_FIRST_WORDS].rstrip()}…",
        started_at_ms=row.started_at_ms,
        last_at_ms=last or 0,
        closed_at_ms=row.closed_at_ms,
        current=row.id == current,
        rows=count,
    )
