"""The benchmark: `python -m benchmarks.turns [--json FILE]`, all of it in one run.

It needs no network and no key: the model is a server on 127.0.0.1 that answers at once, so that what is measured is
Rekku's own share. Nothing fails when a target is missed: machines differ, and the table says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.conversations import conversations
from benchmarks.databases import databases
from benchmarks.disk import disk
from benchmarks.figures import Figure, table
from benchmarks.hostile import hostile
from benchmarks.many_actions import many_actions
from benchmarks.prompt_size import prompt_size
from benchmarks.reminders import lateness
from benchmarks.server_process import ROOT, bot_api_process, model_process
from benchmarks.startup import startup
from benchmarks.telegram import telegram
from core.log import configure_log

Part = Callable[[Path, str, argparse.Namespace], list[Figure]]
"""What measures one thing: in a directory, with the model's base URL, as the command line asks."""

NOT_A_DISK = ("tmpfs", "ramfs")
BUSY = 0.5
"""Processes that were running on average in the minute before; the benchmark itself needs two cores."""


def main() -> None:
    """Measure, print, and write the file that was asked for; ends with status 1 when a part could not be measured."""
    arguments = _arguments()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="bench-") as name:
        directory = Path(name)
        machine = _machine(directory)
        print(*(f"{name} {value}" for name, value in machine.items()), sep=", ", end="\n\n")
        if machine["filesystem"] in NOT_A_DISK:
            print(f"{arguments.directory} is no disk: commits cost nothing there. Use --directory.")
        if machine["load before"] > BUSY:
            print("The machine is busy with other work: times are longer, and differ more, than they should.")
        figures, failed = _measured(directory, arguments)
    print(table(figures))
    if arguments.json:
        report = {"machine": machine, "figures": [figure.as_json() for figure in figures]}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if failed:
        sys.exit(f"Not measured: {', '.join(failed)}.")


def _measured(directory: Path, arguments: argparse.Namespace) -> tuple[list[Figure], list[str]]:
    """Measure each part in a process of its own, so that none sees what another left in memory."""
    figures: list[Figure] = []
    failed = []
    with model_process() as base_url:
        for part in PARTS:
            name = part.__name__.strip("_").replace("_", " ")
            print(f"{name} ...", file=sys.stderr, flush=True)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
                try:
                    figures += fresh.submit(_alone, part, directory, base_url, arguments).result()
                except Exception as error:  # what the others have measured is not to be lost
                    traceback.print_exception(error)
                    failed.append(name)
    return figures, failed


def _alone(part: Part, directory: Path, base_url: str, arguments: argparse.Namespace) -> list[Figure]:
    configure_log("INFO", "console", directory / "log")
    return part(directory, base_url, arguments)


def _turns(directory: Path, base_url: str, arguments: argparse.Namespace) -> list[Figure]:
    home = directory / "turns"
    return asyncio.run(conversations(home, base_url, turns=arguments.turns, at_once=arguments.chats))


def _turns_through_telegram(directory: Path, base_url: str, arguments: argparse.Namespace) -> list[Figure]:
    home = directory / "telegram"
    turns = arguments.turns // 2
    with bot_api_process() as api_base:
        return asyncio.run(telegram(home, base_url, api_base, turns=turns, at_once=arguments.chats))


def _each_database(directory: Path, base_url: str, arguments: argparse.Namespace) -> list[Figure]:
    return asyncio.run(databases(directory / "databases", base_url, turns=arguments.turns // 2))


def _disk(directory: Path, base_url: str, arguments: argparse.Namespace) -> list[Figure]:
    return asyncio.run(disk(directory))


def _prompt(directory: Path, base_url: str, arguments: argparse.Namespace) -> list[Figure]:
    return asyncio.run(prompt_size(directory))


def _many_actions(directory: Path, base_url: str, arguments: argparse.Namespace) -> list[Figure]:
    return asyncio.run(many_actions(directory))


def _reminders(directory: Path, base_url: str, arguments: argparse.Namespace) -> list[Figure]:
    return asyncio.run(lateness(directory / "reminders"))


def _hostile_plugins(directory: Path, base_url: str, arguments: argparse.Namespace) -> list[Figure]:
    return hostile(directory / "hostile", base_url)


def _starts(directory: Path, base_url: str, arguments: argparse.Namespace) -> list[Figure]:
    return startup(directory, base_url, starts=arguments.starts)


PARTS: tuple[Part, ...] = (
    _turns,
    _turns_through_telegram,
    _each_database,
    _disk,
    _prompt,
    _many_actions,
    _reminders,
    _hostile_plugins,
    _starts,
)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turns", description="Measure turns, starts, prompts.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--turns", type=int, default=400, help="turns of the long conversation (400)")
    parser.add_argument("--chats", type=int, default=20, help="conversations at once (20)")
    parser.add_argument("--starts", type=int, default=5, help="starts with each engine (5)")
    parser.add_argument(
        "--directory",
        type=Path,
        default=ROOT / "build",
        help="where the databases are made: on a disk, not in memory",
    )
    return parser.parse_args()


def _machine(directory: Path) -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "filesystem": _filesystem(directory),
        "load before": round(os.getloadavg()[0], 1),
    }


def _filesystem(directory: Path) -> str:
    """Return the type of the file system that holds a directory, as the kernel names it."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    holding = [(point, kind) for point, kind in mounts if directory.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]), default=("", "unknown"))[1]


if __name__ == "__main__":
    main()
