"""Kills at random moments under load, on each database (R1): `python -m benchmarks.chaos [--json FILE]`.

A real app on a real database is killed again and again (SIGKILL, at moments drawn from the seed) while messages come
in and reminders fall due; then it may come to rest. What happened is counted at the platform, the model and the
world, which are files outside of the process: a message that was not answered once, a reminder that did not arrive, a
part that was seen more often than it was in flight, an action that was done twice, an end that nobody was told of.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.scenes import (
    BROKEN,
    SLOW,
    add_options,
    finished,
    head,
    is_there,
    load,
    servers_in_a_directory,
    version_of,
    write,
)
from core.contracts.inputs import Address, Principal
from core.contracts.reminders import Intent
from core.contracts.schedule import Reminder
from core.services import occurrences, reminders
from core.storage import schema
from core.storage.opening import database_of
from tests.faults.aftermath import Scene, complaints
from tests.faults.child import STUCK, settings
from tests.faults.children import Children
from tests.faults.outside import PLATFORM, SENDS, TRAINER, WORLD
from tests.support.database_servers import ServersOfTests

LIFE_S = (0.1, 0.7)
"""The shortest and the longest time from when a process is up until it is killed, on a machine that is idle."""

START_S = {"sqlite": 0.1, "mariadb": 0.3, "postgresql": 0.3}
"""What a start takes there; where it takes longer, so do the lives."""

WHILE_IT_STARTS = 1 / 8
"""How many are killed before they are up."""

SLOWEST = 3.0
UP_WITHIN_S = 30
PLANTED_AT_ONCE = 25

LONGEST_REST = 60
REST_S = 50.0


def main() -> None:
    """Play, print, and write the report that was asked for; ends with 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description="Kill under load, and count.")
    add_options(parser)
    add_sizes(parser)
    arguments = parser.parse_args()
    with servers_in_a_directory() as (servers, directory):
        reports = []
        for dialect in filter(is_there, arguments.database):
            reports.append(play(dialect, servers, directory, arguments))
            write(reports, arguments.json)
    sys.exit(any(report[BROKEN] for report in reports))


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add how much is to be played."""
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=50)
    parser.add_argument("--reminders", type=int, default=500)
    parser.add_argument("--kills", type=int, default=200)


def play(dialect: str, servers: ServersOfTests, directory: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Play R1 on one database, and return its report."""
    place = directory / f"R1-{dialect}"
    scene = Scene(place, "" if dialect == "sqlite" else servers.url(dialect))
    return asyncio.run(_play(dialect, scene, arguments))


async def _play(dialect: str, scene: Scene, arguments: argparse.Namespace) -> dict[str, Any]:
    choice = random.Random(arguments.seed)
    said = load(choice, arguments.messages, arguments.lanes)
    # A run takes about this long: reminders fall due all the way.
    expected_s = arguments.kills * (START_S[dialect] + LIFE_S[1])
    version = await version_of(scene)
    await _plant(scene, arguments.reminders, expected_s)
    kills = 0
    async with Children() as children:
        began = time.monotonic()
        slowness = min(max(await _start_s(scene, children) / START_S[dialect], 1.0), SLOWEST)
        while kills < arguments.kills:
            code = await scene.run(children, said, while_it_runs=_life(scene, choice, slowness, dialect), **SLOW)
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
    report = head("R1", version, arguments.seed) | {
        "messages": arguments.messages,
        "lanes": arguments.lanes,
        "reminders": arguments.reminders,
        "kills": kills,
        "seconds from up to a kill": [round(each * slowness, 1) for each in LIFE_S],
        "seconds": round(time.monotonic() - began),
        "reminders lost": len(lost),
        "turns given up after more than three interruptions, and told": len(given_up(scene)),
        "parts sent": len(sends),
        "parts seen again, in flight at a kill": len(sends) - len({event["id"] for event in sends}),
        "actions in the world": len(scene.outside.read(WORLD)),
        "ends that are not known, and told": len(scene.begun),
    }
    return finished(report, broken, scene, arguments.keep)


async def _start_s(scene: Scene, children: Children) -> float:
    """Return how long a process takes to be up, once the tables and all else that is made but once is there."""
    for ups in range(2):
        began = time.monotonic()
        await scene.run(children, [], for_good=True, while_it_runs=partial(_up, scene, more_than=ups))
    return time.monotonic() - began


async def _up(scene: Scene, pid: int, more_than: int = 0) -> None:
    """Wait until another process is up."""
    for _ in range(UP_WITHIN_S * 100):
        if len(scene.outside.read("up")) > more_than:
            return
        await asyncio.sleep(0.01)


def _life(
    scene: Scene, choice: random.Random, slowness: float, dialect: str
) -> Callable[[int], Coroutine[Any, Any, None]]:
    """Return what ends when a process is to be killed: mostly while it works, now and then while it starts."""
    ups = len(scene.outside.read("up"))
    while_it_starts = choice.random() < WHILE_IT_STARTS
    lasts_s = choice.uniform(0, START_S[dialect]) if while_it_starts else choice.uniform(*LIFE_S)

    async def live(pid: int) -> None:
        if not while_it_starts:
            await _up(scene, pid, ups)
        await asyncio.sleep(lasts_s * slowness)

    return live


def given_up(scene: Scene) -> list[Any]:
    """Return the turns that ended as failed since they were interrupted too often."""
    return scene.rows("SELECT id FROM turns WHERE state = 'error' AND reason LIKE 'I was interrupted%'")


async def _plant(scene: Scene, count: int, within_s: float) -> None:
    """Create the tables and the reminders."""
    database = database_of(settings(scene.home, scene.database))
    await database.start()
    await schema.upgrade(database)
    now = datetime.now(UTC).replace(tzinfo=None)

    def plant(conn: Any, first: int) -> None:
        for number in range(first, min(first + PLANTED_AT_ONCE, count)):
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

    for first in range(0, count, PLANTED_AT_ONCE):
        await database.transact(partial(plant, first=first))
    await database.stop()


if __name__ == "__main__":
    main()
