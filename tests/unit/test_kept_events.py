"""The kept history of events: each once, also when it is ended or asked for while a batch is being written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from core.contracts.events import Event, EventEnd
from core.services import event_rows, kept_events
from core.services.event_history import EventRecord
from core.services.kept_events import KeptEvents
from core.storage import schema
from core.storage.sqlite import SqliteDatabase


class HeldDatabase(SqliteDatabase):
    """Has committed a transaction, and says so when it is let."""

    def __init__(self) -> None:
        super().__init__(None)
        self.committed = asyncio.Event()
        self.let = asyncio.Event()

    async def transact(self, fn: Callable[[Any], Any], *, durable: bool = True) -> Any:
        result = await super().transact(fn, durable=durable)
        self.committed.set()
        await self.let.wait()
        return result


@pytest.fixture
async def database() -> AsyncIterator[HeldDatabase]:
    database = HeldDatabase()
    await database.start()
    database.let.set()
    await database.transact(schema.create_all)
    database.committed.clear()
    database.let.clear()
    yield database
    await database.stop()


def record() -> EventRecord:
    return EventRecord(event=Event(name="lamp.lit", id="one"), end=EventEnd.HANDLED)


async def test_ended_in_the_middle_of_a_write(database: HeldDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_events, "COLLECT_S", 0)
    kept = KeptEvents(database)
    kept.start()
    kept.add(record())
    await database.committed.wait()
    ending = asyncio.ensure_future(kept.stop())
    await asyncio.sleep(0)
    database.let.set()
    await ending
    assert await database.read(event_rows.newest) == 1


async def test_asked_for_in_the_middle_of_a_write(database: HeldDatabase) -> None:
    kept = KeptEvents(database)
    kept.add(record())
    both = asyncio.gather(kept.written(), kept.written())
    await database.committed.wait()
    database.let.set()
    await both
    assert await database.read(event_rows.newest) == 1
