"""Kills at random moments under load, on each database: `python -m benchmarks.chaos [--json FILE]`.

A real app on a real database is killed again and again (SIGKILL, at moments drawn from the seed) while messages come
in and reminders fall due; then it may come to rest. What happened is counted at the platform, the model and the
world, which are files outside of the process: a message that was not answered once, a reminder that did not arrive, a
part that was seen more often than it was in flight, an action that was done twice, an end that nobody was told of.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from core.contracts.inputs import Address, Principal
from core.contracts.reminders import Intent
from core.contracts.schedule import Reminder
from core.services import occurrences, reminders
from core.storage import schema
from core.storage.opening import database_of
from tests.faults.aftermath import Scene, complaints
from tests.faults.child import STUCK, settings
from tests.faults.children import Children
from tests.faults.outside import PLATFORM, SENDS, TRAINER, WORLD, Said
from tests.faults.test_chaos import KINDS
from tests.support.database_servers import DIALECTS, DatabaseServer, ServersOfTests, is_installed

VERSIONS = {
    "sqlite": "SELECT sqlite_version()",
    "mariadb": "SELECT version()",
    "postgresql": "SHOW server_version",
}
LIFE_S = {"sqlite": (0.1, 0.8), "mariadb": (0.2, 1.4), "postgresql": (0.2, 1.4)}
"""The shortest and the longest life of a process; it needs a tenth of a second to start, three on a server."""

SLOW = {"think_s": 0.05, "act_s": 0.05, "send_s": 0.02}
LONGEST_REST = 60
REST_S = 50.0


def main() -> None:
    """Play, print, and write the report that was asked for; ends with 1 when a promise was broken."""
    arguments = _arguments()
    reports = []
    with tempfile.TemporaryDirectory(prefix="rekku-chaos-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        servers = ServersOfTests(directory)
        try:
            for dialect in arguments.database:
                if dialect != "sqlite" and not is_installed(dialect):
                    print(f"{dialect}: not installed here, left out.", flush=True)
                    continue
                server = servers.server(dialect) if dialect != "sqlite" else None
                report = asyncio.run(_play(dialect, directory / f"scene-{dialect}", server, arguments))
                reports.append(report)
                if arguments.keep and report["broken promises"]:
                    shutil.copytree(directory / f"scene-{dialect}", arguments.keep / dialect, dirs_exist_ok=True)
                print(", ".join(f"{key} {value}" for key, value in report.items()), flush=True)
        finally:
            servers.stop()
    if arguments.json:
        arguments.json.write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(report["broken promises"] for report in reports))


async def _play(
    dialect: str, directory: Path, server: DatabaseServer | None, arguments: argparse.Namespace
) -> dict[str, Any]:
    choice = random.Random(arguments.seed)
    said = [
        Said(key=f"k{n}", chat=f"c{n % arguments.lanes}", text=f"{choice.choice(KINDS)} t{n}")
        for n in range(arguments.messages)
    ]
    scene = Scene(directory, server.url("chaos") if server else "")
    await asyncio.to_thread(directory.mkdir, parents=True)
    # A run takes about this long: reminders fall due all the way.
    expected_s = arguments.kills * (LIFE_S[dialect][1] * 0.8)
    version = await _plant(scene, arguments.reminders, expected_s)
    began = time.monotonic()
    kills = 0
    async with Children() as children:
        while kills < arguments.kills:
            code = await scene.run(children, said, kill_after_s=choice.uniform(*LIFE_S[dialect]), **SLOW)
            if code not in (0, -9):
                raise RuntimeError(scene.log())
            kills += code == -9
            if kills % 20 == 0:
                print(f"\r{dialect}: {kills} kills", end="", file=sys.stderr, flush=True)
            if code == 0:
                await asyncio.sleep(0.1)  # nothing is left to do until the next reminder
        print(file=sys.stderr)
        for _ in range(LONGEST_REST):
            code = await scene.run(children, said, patience_s=REST_S)
            left = scene.rows("SELECT 1 FROM reminders WHERE state = 'active'")
            left += scene.rows("SELECT 1 FROM outbox WHERE state IN ('waiting', 'sending')")
            if code != STUCK and not left:
                break
            await asyncio.sleep(1.0)
    sends = scene.outside.read(SENDS)
    # One that comes late says so below its first line.
    arrived = Counter(event["text"].partition("\n")[0] for event in {event["id"]: event for event in sends}.values())
    lost = [n for n in range(arguments.reminders) if not arrived[f"Reminder: r{n}"]]
    twice = [n for n in range(arguments.reminders) if arrived[f"Reminder: r{n}"] > 1]
    broken = complaints(scene, said, failing_turns=True)
    broken += [f"reminder r{n} did not arrive" for n in lost] + [f"reminder r{n} was made twice" for n in twice]
    for each in broken[:20]:
        print(f"{dialect}: {each}")
    return {
        "database": f"{dialect} {version}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "seed": arguments.seed,
        "messages": arguments.messages,
        "lanes": arguments.lanes,
        "reminders": arguments.reminders,
        "kills": kills,
        "seconds": round(time.monotonic() - began),
        "reminders lost": len(lost),
        "parts sent": len(sends),
        "parts seen again, in flight at a kill": len(sends) - len({event["id"] for event in sends}),
        "actions in the world": len(scene.outside.read(WORLD)),
        "ends that are not known, and told": len(scene.begun),
        "broken promises": len(broken),
    }


async def _plant(scene: Scene, count: int, within_s: float) -> str:
    """Create the tables and the reminders, and return the version of the database."""
    await asyncio.to_thread(scene.home.mkdir)
    database = database_of(settings(scene.home, scene.database))
    await database.start()
    await schema.upgrade(database)
    now = datetime.now(UTC).replace(tzinfo=None)

    def write(conn: Any) -> str:
        for number in range(count):
            start = (now + timedelta(seconds=5 + within_s * number / max(count, 1))).replace(microsecond=0)
            intent = Intent(start=start, zone="UTC", elapsed=True)
            chat = Address(PLATFORM, f"r{number % 50}")
            reminder = Reminder(
                principal=Principal(PLATFORM, TRAINER),
                number=number + 1,
                address=chat,
                asked_in=chat,
                text=f"r{number}",
                intent=intent,
                next=occurrences.first(intent, 0),
            )
            reminders.add(conn, reminder, round(time.time() * 1000))
        return str(conn.execute(text(VERSIONS[conn.dialect.name])).scalar())

    version = await database.transact(write)
    await database.stop()
    return version


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description="Kill under load, and count.")
    parser.add_argument("--database", nargs="+", choices=DIALECTS, default=DIALECTS, help="which ones (all)")
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=50)
    parser.add_argument("--reminders", type=int, default=500)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="keep what a broken promise left, to look at")
    return parser.parse_args()


if __name__ == "__main__":
    main()
