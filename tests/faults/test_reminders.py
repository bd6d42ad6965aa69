"""Death at each point of a reminder's way: every occurrence arrives, and none twice but the one part in flight."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.contracts.inputs import Address, Principal
from core.contracts.reminders import Intent
from core.contracts.schedule import Reminder, ReminderMode
from core.services import occurrences, reminders
from core.storage import schema
from core.storage.sqlite import SqliteDatabase
from tests.faults.reminder_child import DIED

POINTS = ("reminder due", "before reminder commit", "after reminder commit", "part sent", "before commit")
CHATS = ("a", "b")
TEXTS = ("one", "two", "three")


async def plant(home: Path) -> None:
    """Store reminders that are due: in each chat three, of which one repeats and one begins a turn."""
    database = SqliteDatabase(home / "rekku.db")
    await database.start()
    await schema.upgrade(database)
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)

    def write(conn: Any) -> None:
        for chat in CHATS:
            for place, text in enumerate(TEXTS):
                start = now - timedelta(seconds=5 - place)
                intent = Intent(start=start, zone="UTC", rule="FREQ=DAILY" if text == "two" else "", elapsed=True)
                reminders.add(
                    conn,
                    Reminder(
                        principal=Principal("test", "trainer"),
                        number=reminders.new_number(conn),
                        address=Address("test", chat),
                        asked_in=Address("test", chat),
                        text=f"{text} in {chat}",
                        intent=intent,
                        next=occurrences.first(intent, 0),
                        mode=ReminderMode.COMPOSE if text == "three" else ReminderMode.LITERAL,
                    ),
                    round(time.time() * 1000),
                )

    await database.transact(write)
    await database.stop()


async def run(home: Path, taken: Path, label: str, times: int) -> int:
    command = ("-m", "tests.faults.reminder_child", str(home), str(taken), label, str(times))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.DEVNULL)
    async with asyncio.timeout(60):
        return await process.wait()


@pytest.mark.parametrize("point", POINTS)
async def test_every_occurrence_arrives_once(point: str, tmp_path: Path) -> None:
    home, taken = tmp_path, tmp_path / "taken"
    await plant(home)
    assert await run(home, taken, point, 2) == DIED
    assert await run(home, taken, "", 0) == 0
    arrived = Counter(taken.read_text(encoding="utf-8").splitlines())
    assert set(arrived) == {f"{chat} Reminder: {text} in {chat}" for chat in CHATS for text in TEXTS}
    repeated = sum(arrived.values()) - len(arrived)
    # Wherever it died: between the platform's taking a part and our commit of that, the one in flight of each chat
    # may be repeated.
    assert repeated <= len(CHATS)

    database = SqliteDatabase(home / "rekku.db")
    await database.start()
    states = await database.read(
        lambda conn: conn.exec_driver_sql("SELECT state, count(*) FROM reminders GROUP BY state").all()
    )
    scheduled = await database.read(
        lambda conn: conn.exec_driver_sql("SELECT count(*) FROM inbox WHERE state = 'scheduled'").scalar()
    )
    await database.stop()
    assert dict(map(tuple, states)) == {"active": len(CHATS), "done": len(CHATS) * 2}
    assert scheduled == len(CHATS), "what repeats comes again"
