"""The end of a conversation: `session.closed`, then `conversation.complete`, once it is committed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import select

from core.contracts.errors import StorageError
from core.contracts.inputs import Address, Principal
from core.contracts.json import Json, JsonObject
from core.contracts.services import Database
from core.services.event_causes import Cause, current_cause
from core.services.events import EventBus
from core.storage.tables import messages, sessions

log = structlog.get_logger("rekku.turns")

NEWEST_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Closing:
    """A conversation that a transaction ends: whether it did is known when that is committed."""

    session_id: int
    principal: Principal
    address: Address
    cause: Cause | None


class ClosedSessions:
    """Ends conversations, and tells of those that have ended. `own(work, name)` keeps a task."""

    def __init__(
        self,
        database: Database,
        events: EventBus,
        own: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self._database = database
        self._events = events
        self._own = own
        self._closing: dict[int, _Closing] = {}

    def noting(self, address: Address, principal: Principal) -> Callable[[int], None]:
        """Return what a transaction that ends a conversation is to call with its id, as often as it is run."""
        cause = current_cause.get()

        def note(session_id: int) -> None:
            self._closing[session_id] = _Closing(
                session_id=session_id, principal=principal, address=address, cause=cause
            )

        return note

    def committed(self) -> None:
        """Look whether what was to be ended has ended, and tell of it; called behind a commit."""
        if self._closing:
            closing, self._closing = list(self._closing.values()), {}
            self._own(self._tell(closing), "ended conversations")

    async def _tell(self, closing: list[_Closing]) -> None:
        for one in closing:
            try:
                told = await self._database.read(lambda conn, one=one: _read(conn, one.session_id))  # type: ignore[misc]
            except StorageError as error:
                log.warning("the end of a conversation was not told", session=one.session_id, error=str(error))
                continue
            if told is None:
                continue  # its transaction was rolled back
            whose: JsonObject = {
                "session_id": one.session_id,
                "principal": str(one.principal),
                "address": str(one.address),
            }
            current_cause.set(one.cause)
            self._events.post("session.closed", whose)
            if told["lines"]:
                self._events.post("conversation.complete", {**whose, **told})


def _read(conn: Any, session_id: int) -> JsonObject | None:
    """Return what is told of a conversation that has ended; None when it goes on."""
    row = conn.execute(select(sessions).where(sessions.c.id == session_id)).one_or_none()
    if row is None or not row.closed_at_ms:
        return None
    newest = (
        select(messages.c.role, messages.c.author, messages.c.text, messages.c.tainted, messages.c.at_ms)
        .where(messages.c.session_id == session_id)
        .order_by(messages.c.id.desc())
        .limit(NEWEST_LINES)
    )
    lines: list[Json] = [
        {"role": line.role, "author": line.author, "text": line.text, "tainted": line.tainted, "at_ms": line.at_ms}
        for line in reversed(conn.execute(newest).all())
    ]
    return {
        "started_at_ms": row.started_at_ms,
        "summary": row.summary,
        "summary_tainted": row.summary_tainted,
        "lines": lines,
    }
