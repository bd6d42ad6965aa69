"""The database as one plugin has it: the same, but it is known whose transactions they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from core.contracts.services import Database
from core.services.foreign import ForeignCalls

T = TypeVar("T")


class OwnedDatabase:
    """A `Database` that has the transactions of a plugin timed."""

    def __init__(self, database: Database, foreign: ForeignCalls, owner: str) -> None:
        self._database = database
        self._foreign = foreign
        self._owner = owner

    async def transact(self, fn: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run `fn(conn)` in a write transaction; see `core.contracts.services.Database`."""
        return await self._database.transact(self._foreign.timed(self._owner, fn), durable=durable)

    async def read(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(conn)` on a snapshot."""
        return await self._database.read(fn)
