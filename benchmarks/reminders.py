"""How late reminders are, with many of them pending: some on their own instants, some all on one."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from core.app import App
from core.contracts.deliveries import Part, Receipt
from core.contracts.inputs import Address, Principal
from core.contracts.reminders import Intent
from core.contracts.schedule import Reminder
from core.services import occurrences, reminders
from core.settings import Settings
from core.storage import schema
from core.storage.sqlite import SqliteDatabase
from core.testing import RecordingInterface

PENDING = 10_000
SPREAD_S = 60
LATEST_S = 2.0
STARTING_S = 15
LONGEST_S = 180.0


class Arrivals(RecordingInterface):
    """Notes when each reminder was handed over for sending."""

    def __init__(self) -> None:
        super().__init__("test")
        self.at_s: dict[int, float] = {}
        self.all_there = asyncio.Event()

    async def send(self, part: Part) -> Receipt:
        self.at_s.setdefault(int(part.text.rpartition(" ")[2]), time.time())
        if len(self.at_s) == PENDING:
            self.all_there.set()
        return Receipt(message_id=part.id)


async def lateness(directory: Path) -> list[Figure]:
    """Measure reminders that are due within a minute, and again all at once."""
    spread = await _measure(directory / "spread", SPREAD_S)
    at_once = await _measure(directory / "at once", 0)
    return [
        Figure(name=f"{PENDING} reminders in {SPREAD_S} s, late at p50", value=_at(spread, 0.5), unit="s"),
        Figure(
            name=f"{PENDING} reminders in {SPREAD_S} s, late at p99",
            value=_at(spread, 0.99),
            unit="s",
            at_most=LATEST_S,
        ),
        Figure(name=f"{PENDING} reminders at one instant, all out after", value=_at(at_once, 1.0), unit="s"),
    ]


async def _measure(home: Path, spread_s: int) -> list[float]:
    """Return how late each reminder was, in seconds, sorted."""
    begin = datetime.now(UTC).replace(microsecond=0, tzinfo=None) + timedelta(seconds=STARTING_S)
    due = await _plant(home, begin, spread_s)
    arrivals = Arrivals()
    settings = Settings(home=home, timezone="UTC", engine=("offline",), trainer_ids=frozenset({"test:trainer"}))
    async with App(settings, interfaces=[arrivals], serve=()), asyncio.timeout(LONGEST_S):
        await arrivals.all_there.wait()
    return sorted(arrivals.at_s[number] - at_s for number, at_s in due.items())


async def _plant(home: Path, begin: datetime, spread_s: int) -> dict[int, float]:
    """Store the reminders; return when each is due, in Unix seconds. A tenth of them repeats, in a thousand chats."""
    await asyncio.to_thread(home.mkdir, parents=True)
    database = SqliteDatabase(home / "rekku.db")
    await database.start()
    await schema.upgrade(database)
    due: dict[int, float] = {}

    def write(conn: Any) -> None:
        for number in range(PENDING):
            start = begin + timedelta(seconds=number * spread_s // PENDING)
            chat = Address("test", str(number % 1000))
            intent = Intent(start=start, zone="UTC", elapsed=True, rule="" if number % 10 else "FREQ=DAILY")
            reminder = Reminder(
                principal=Principal("test", "trainer"),
                number=number + 1,
                address=chat,
                asked_in=chat,
                text=f"number {number}",
                intent=intent,
                next=occurrences.first(intent, 0),
            )
            reminders.add(conn, reminder, 0)
            due[number] = start.replace(tzinfo=UTC).timestamp()

    await database.transact(write)
    await database.stop()
    return due


def _at(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]
