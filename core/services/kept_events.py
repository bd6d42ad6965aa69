"""Writes the history of events to the database, many at a time and beside everything else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog

from core.contracts.errors import StorageError
from core.contracts.services import Database
from core.services import event_rows
from core.services.event_history import EventRecord

log = structlog.get_logger("rekku.events")

MOST_WAITING = 2000
BATCH = 200
COLLECT_S = 0.5
AGAIN_S = 2.0
LAST_WRITE_S = 2.0
REPORT_EVERY = 100


class KeptEvents:
    """Takes records and writes them soon; while the database is away the oldest of too many are lost."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[EventRecord] = deque()
        self._news = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self.lost = 0

    def add(self, record: EventRecord) -> None:
        """Take a record; never waits."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1
            if self.lost % REPORT_EVERY == 1:
                log.error("events could not be kept, the oldest are lost", lost=self.lost)
        self._waiting.append(record)
        self._news.set()

    def start(self) -> None:
        """Begin to write."""
        self._writer = asyncio.get_running_loop().create_task(self._write_on(), name="history of events")

    async def stop(self) -> None:
        """Write what waits, if that can be done now."""
        if self._writer is None:
            return
        try:
            async with asyncio.timeout(LAST_WRITE_S):
                async with self._writing:  # cut off in the middle, what was written would be written again
                    self._writer.cancel()
                await self.written()
        except (StorageError, TimeoutError) as error:
            log.warning("the last events are not kept", events=len(self._waiting), error=str(error))
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        self._writer = None

    async def written(self) -> None:
        """Write what waits now."""
        while self._waiting:
            await self._write(len(self._waiting))

    async def _write_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(COLLECT_S)
            try:
                while self._waiting:
                    await self._write(BATCH)
            except StorageError as error:
                log.warning("the history of events waits for the database", error=str(error))
                self._news.set()
                await asyncio.sleep(AGAIN_S)

    async def _write(self, most: int) -> None:
        async with self._writing:
            batch = [self._waiting[place] for place in range(min(most, len(self._waiting)))]
            if not batch:
                return  # somebody else has written it meanwhile
            write: Callable[[Any], None] = lambda conn: event_rows.put(conn, batch)  # noqa: E731
            await self._database.transact(write, durable=False)
            for record in batch:
                # What came in meanwhile may have pushed some of them out.
                if self._waiting and self._waiting[0] is record:
                    self._waiting.popleft()
