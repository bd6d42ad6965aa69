"""What is told once in a while, and what may be tried so many times: durable, so that a restart forgets neither.

Functions of a connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from core.storage.tables import notices

KEPT_MS = 2 * 24 * 3600 * 1000
"""Longer than any window that is asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A sentence for a principal, unless they were told one of this kind at or after `since_ms`."""

    kind: str
    text: str
    since_ms: int


def is_due(conn: Any, principal: str, notice: Notice) -> bool:
    """Whether a notice is to be told."""
    row = _find(conn, principal, notice.kind)
    return row is None or row.at_ms < notice.since_ms


def take(conn: Any, principal: str, notice: Notice, now_ms: int) -> bool:
    """Note that a notice is being told; False when it was told meanwhile."""
    if not is_due(conn, principal, notice):
        return False
    _put(conn, principal, notice.kind, now_ms, 1)
    return True


def blocked_until(conn: Any, principal: str, kind: str, most: int, window_ms: int, now_ms: int) -> int:
    """Return until when (UTC milliseconds) a principal may not try again, after `most` tries; 0 when they may."""
    row = _find(conn, principal, kind)
    until: int = 0 if row is None or row.count < most else row.at_ms + window_ms
    return until if until > now_ms else 0


def count_try(conn: Any, principal: str, kind: str, most: int, window_ms: int, now_ms: int) -> None:
    """Count one try. A window begins with its first try, and anew with its last: from then on they are refused."""
    row = _find(conn, principal, kind)
    if row is None or row.at_ms + window_ms <= now_ms:
        _put(conn, principal, kind, now_ms, 1)
    else:
        count = row.count + 1
        _put(conn, principal, kind, now_ms if count >= most else row.at_ms, count)


def forget_old(conn: Any, now_ms: int) -> int:
    """Delete what nobody asks about any more; return how many rows."""
    return int(conn.execute(delete(notices).where(notices.c.at_ms < now_ms - KEPT_MS)).rowcount)


def _find(conn: Any, principal: str, kind: str) -> Any:
    place = (notices.c.principal == principal, notices.c.kind == kind)
    return conn.execute(select(notices.c.at_ms, notices.c.count).where(*place)).one_or_none()


def _put(conn: Any, principal: str, kind: str, at_ms: int, count: int) -> None:
    place = (notices.c.principal == principal, notices.c.kind == kind)
    if not conn.execute(update(notices).where(*place).values(at_ms=at_ms, count=count)).rowcount:
        conn.execute(insert(notices), {"principal": principal, "kind": kind, "at_ms": at_ms, "count": count})
