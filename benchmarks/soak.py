"""A long run at a high rate: whether memory, tasks, threads and descriptors stay flat. `python -m benchmarks.soak`.

All chats talk without a pause to one app in this process, the model is a server on 127.0.0.1 in another. Samples are
taken through the whole run; the slopes are those of a straight line through the second half, when every cache is warm
and every history as long as it gets.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.chats import Chats
from benchmarks.conversations import SAID
from benchmarks.figures import Figure, table
from benchmarks.installation import installation
from benchmarks.server_process import ROOT, model_process
from core.log import configure_log
from core.storage.opening import StoredDatabase
from core.storage.server import ServerDatabase
from core.storage.sqlite import SqliteDatabase
from tests.support.database_servers import DIALECTS, SERVERS

SAMPLES = 240
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """at_s: since the start. memory: resident bytes."""

    at_s: float
    turns: int
    memory: int
    tasks: int
    threads: int
    descriptors: int
    objects: int


def main() -> None:
    """Run, print, and write the report that was asked for."""
    arguments = _arguments()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="soak-") as name, model_process() as base_url:
        directory = Path(name)
        configure_log("WARNING", "console", directory / "log")
        if arguments.database == "sqlite":
            samples = asyncio.run(_run(SqliteDatabase(directory / "soak.db"), directory, base_url, arguments))
        else:
            with tempfile.TemporaryDirectory(prefix="soak-server-") as place:
                Path(place).chmod(0o755)
                server = SERVERS[arguments.database](Path(place))
                server.install()
                server.start()
                try:
                    database = ServerDatabase(server.url("soak"))
                    samples = asyncio.run(_run(database, directory, base_url, arguments))
                finally:
                    server.stop()
    figures = _figures(samples)
    print(table(figures))
    if arguments.json:
        report = {
            "date": datetime.now(UTC).date().isoformat(),
            "python": platform.python_version(),
            "database": arguments.database,
            "cores": len(os.sched_getaffinity(0)),
            "figures": [figure.as_json() for figure in figures],
            "samples": [asdict(sample) for sample in samples[:: max(len(samples) // 30, 1)]],
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


async def _run(
    database: StoredDatabase, directory: Path, base_url: str, arguments: argparse.Namespace
) -> list[Sample]:
    chats = Chats()
    until = time.monotonic() + arguments.minutes * 60
    turns = 0

    async def talk(chat: int) -> None:
        nonlocal turns
        while time.monotonic() < until:
            await chats.say(f"chat {chat}", SAID.format(number=turns), until_ended=False)
            turns += 1

    samples: list[Sample] = []
    async with installation(directory / "home", base_url, chats, database=database):
        began = time.monotonic()
        talking = [asyncio.ensure_future(talk(chat)) for chat in range(arguments.chats)]
        while not all(task.done() for task in talking):
            samples.append(_sample(time.monotonic() - began, turns))
            await asyncio.wait(talking, timeout=arguments.minutes * 60 / SAMPLES)
        await asyncio.gather(*talking)
    return samples


def _sample(at_s: float, turns: int) -> Sample:
    gc.collect()
    return Sample(
        at_s=round(at_s, 1),
        turns=turns,
        memory=int(Path("/proc/self/statm").read_text().split()[1]) * PAGE,
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        descriptors=len(os.listdir("/proc/self/fd")),
        objects=len(gc.get_objects()),
    )


def _figures(samples: list[Sample]) -> list[Figure]:
    late = samples[len(samples) // 2 :]
    last = samples[-1]
    figures = [
        Figure(name="run", value=last.at_s / 60, unit="minutes"),
        Figure(name="turns", value=last.turns, unit=""),
        Figure(name="turns a second", value=last.turns / last.at_s, unit="1/s"),
        Figure(
            name="memory at the half, at the end", value=late[0].memory / 1e6, unit=f"MB, {last.memory / 1e6:.1f} MB"
        ),
    ]
    for name, unit, values in (
        ("memory", "kB", [sample.memory / 1e3 for sample in late]),
        ("objects", "", [sample.objects for sample in late]),
        ("tasks", "", [sample.tasks for sample in late]),
        ("threads", "", [sample.threads for sample in late]),
        ("descriptors", "", [sample.descriptors for sample in late]),
    ):
        slope = _slope([sample.turns / 1000 for sample in late], values)
        figures.append(Figure(name=f"slope of {name}", value=slope, unit=f"{unit} a thousand turns".strip()))
    return figures


def _slope(xs: list[float], ys: list[Any]) -> float:
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="A long run at a high rate.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--chats", type=int, default=10)
    parser.add_argument("--database", choices=DIALECTS, default="sqlite")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    parser.add_argument("--directory", type=Path, default=ROOT / "build", help="where the SQLite database is made")
    return parser.parse_args()


if __name__ == "__main__":
    main()
