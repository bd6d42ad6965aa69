"""A session is closed: what is written, and what is told of it once that is committed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from core.contracts.errors import StorageError
from core.contracts.json import JsonObject
from core.contracts.services import Database
from core.services import sessions
from core.services.sessions import ListedSession

log = structlog.get_logger("rekku.sessions")


class ClosedSessions:
    """Tells of sessions that were closed, after the transaction that closed them. `own(work, name)` keeps the task.

    A transaction may be run again, or be undone: so what it noted is looked up before it is told.
    """

    def __init__(self, database: Database, own: Callable[[Coroutine[Any, Any, None], str], None]) -> None:
        self._database = database
        self._own = own
        self._noted: dict[int, None] = {}

    def note(self, session_id: int) -> None:
        """Note, inside of a transaction, that it closes a session."""
        self._noted[session_id] = None

    def tell_soon(self) -> None:
        """Tell of what was noted: a transaction was committed."""
        if self._noted:
            noted, self._noted = list(self._noted), {}
            self._own(self._tell(noted), "sessions that were closed")

    async def _tell(self, ids: list[int]) -> None:
        for session_id in ids:
            try:
                found = await self._database.read(lambda conn, one=session_id: sessions.listed(conn, one))  # type: ignore[misc]
            except StorageError as error:
                log.warning("a closed session could not be told of", session=session_id, error=str(error))
                continue
            if found is not None and found.closed_at_ms:
                await self._emit("session.closed", _data(found))
                if found.rows:
                    await self._emit("conversation.complete", _data(found))

    async def _emit(self, name: str, data: JsonObject) -> None:
        # WIRE(events): the one place where the two events go out: `await self._events.emit(name, data)`.
        log.info(name, session=data["session"], address=data["address"])


def _data(closed: ListedSession) -> JsonObject:
    """Return what the two events carry; times are UTC milliseconds, `rows` those of its history."""
    return {
        "session": closed.id,
        "address": closed.lane,
        "title": closed.title,
        "started_at_ms": closed.started_at_ms,
        "closed_at_ms": closed.closed_at_ms,
        "rows": closed.rows,
    }
