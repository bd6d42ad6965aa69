"""The benchmark: `python -m benchmarks.turns [--json FILE]`, all of it in one run.

It needs no network and no key: the model is a server on 127.0.0.1 that answers at once, so that what is measured is
Rekku's own share. Nothing fails when a target is missed: machines differ, and the table says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import tempfile
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

NOT_A_DISK = ("tmpfs", "ramfs")
BUSY = 0.5
"""Processes that were running on average in the minute before; the benchmark itself needs two cores."""


def main() -> None:
    """Measure, print, and write the file that was asked for."""
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
        configure_log("INFO", "console", directory / "log")
        figures = _measured(directory, arguments)
    print(table(figures))
    if arguments.json:
        report = {"machine": machine, "figures": [figure.as_json() for figure in figures]}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _measured(directory: Path, arguments: argparse.Namespace) -> list[Figure]:
    with model_process() as base_url:
        figures = asyncio.run(
            conversations(directory / "turns", base_url, turns=arguments.turns, at_once=arguments.chats)
        )
        with bot_api_process() as api_base:
            figures += asyncio.run(
                telegram(
                    directory / "telegram", base_url, api_base, turns=arguments.turns // 2, at_once=arguments.chats
                )
            )
        figures += asyncio.run(databases(directory / "databases", base_url, turns=arguments.turns // 2))
        figures += asyncio.run(disk(directory))
        figures += asyncio.run(prompt_size(directory))
        figures += asyncio.run(many_actions(directory))
        figures += asyncio.run(lateness(directory / "reminders"))
        figures += hostile(directory / "hostile", base_url)
        figures += startup(directory, base_url, starts=arguments.starts)
    return figures


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
