"""Whether the database answers, told within a deadline even while it does not."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import delete, insert, literal, select

from core.contracts.errors import StorageError
from core.contracts.services import Clock, Database
from core.services.depths import Depths, depths
from core.services.question import Question
from core.storage.tables import kv

PATIENCE_S = 2.0
OWNER = "core health"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAnswer:
    """up: it read and wrote in time. reason: why not. since_good_s: seconds since it last did, None: never yet."""

    up: bool
    reason: str
    since_good_s: float | None


class DatabaseWatch:
    """Asks the database one thing at a time: one that hangs is not given a heap of work for when it is back."""

    def __init__(self, database: Database, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._database = database
        self._clock = clock
        self._patience_s = patience_s
        self._last_good_s: float | None = None
        self._answering = Question(self._answers, clock=clock, patience_s=patience_s)
        self._counting = Question(self._counted, clock=clock, patience_s=patience_s)

    async def answer(self) -> DatabaseAnswer:
        """Return whether it answers now."""
        reason = await self._answering.answer()
        if reason is None:
            reason = f"It does not answer within {self._patience_s:g} s."
        since = None if self._last_good_s is None else max(self._clock.monotonic() - self._last_good_s, 0.0)
        return DatabaseAnswer(up=not reason, reason=reason, since_good_s=since)

    async def depths(self) -> Depths | None:
        """Return what waits in the tables; None when that cannot be read now."""
        return await self._counting.answer()

    def close(self) -> None:
        """Ask no longer."""
        self._answering.close()
        self._counting.close()

    async def _answers(self) -> str:
        """Return why it does not work, or ""."""
        # One may work while the other does not: a file that somebody else has locked can still be read.
        asked = await asyncio.gather(
            self._database.read(_look),
            self._database.transact(partial(_write, secrets.token_hex(8)), durable=False),
            return_exceptions=True,
        )
        for error in asked:
            if isinstance(error, StorageError):
                return error.explain()
            if isinstance(error, BaseException):
                return f"{type(error).__name__}: {error}"
        self._last_good_s = self._clock.monotonic()
        return ""

    async def _counted(self) -> Depths | None:
        now_ms = self._clock.now_ms()
        try:
            return await self._database.read(lambda conn: depths(conn, now_ms))
        except StorageError:
            return None


def _write(key: str, conn: Any) -> None:
    """Write a row and remove it: a database that is full or read-only may still begin a transaction, and read.

    The row is nobody else's, so that no process waits for another one, and nothing of it is left.
    """
    conn.execute(insert(kv), {"owner": OWNER, "key": key, "value": "1"})
    conn.execute(delete(kv).where(kv.c.owner == OWNER, kv.c.key == key))


def _look(conn: Any) -> None:
    conn.execute(select(literal(1))).scalar_one()
