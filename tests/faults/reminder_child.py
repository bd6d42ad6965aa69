"""A process that serves due reminders and dies where it is told to: `python -m tests.faults.reminder_child`.

Arguments: the home, the file in which the platform writes down what it took, the label to die at and at which
passing of it. It ends by itself when nothing is due and nothing waits to be sent.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

from core.app import App
from core.contracts.deliveries import Part, Receipt
from core.settings import Settings
from core.testing import RecordingInterface

DIED = 9


class Platform(RecordingInterface):
    """Writes down each part that it takes, before it answers."""

    def __init__(self, taken: Path) -> None:
        super().__init__("test")
        self._taken = taken

    async def send(self, part: Part) -> Receipt:
        with self._taken.open("a", encoding="utf-8") as file:
            file.write(f"{part.address.chat_id} {part.text.splitlines()[0]}\n")
        return await super().send(part)


async def serve(home: Path, taken: Path, label: str, times: int) -> None:
    """Serve until nothing is left to do, or death."""
    passed: Counter[str] = Counter()

    def reached(name: str) -> None:
        passed[name] += 1
        if name == label and passed[name] == times:
            os._exit(DIED)

    settings = Settings(home=home, timezone="UTC", engine=("offline",), trainer_ids=frozenset({"test:trainer"}))
    async with App(settings, interfaces=[Platform(taken)], reached=reached) as app:
        for _ in range(2000):
            await app.drained()
            left = await app.database.read(
                lambda conn: conn.exec_driver_sql(
                    "SELECT count(*) FROM outbox WHERE state IN ('waiting', 'sending')"
                ).scalar()
            )
            if not left:
                return
            await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
