"""What the scenes of `benchmarks.chaos` and `benchmarks.promises` have in common: load, servers, and reports."""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from core.storage.opening import database_of
from tests.faults.aftermath import Scene
from tests.faults.child import settings
from tests.faults.outside import Said
from tests.faults.test_chaos import KINDS
from tests.support.database_servers import DIALECTS, ServersOfTests, is_installed

BROKEN = "broken promises"
SLOW = {"think_s": 0.05, "act_s": 0.05, "send_s": 0.02}
VERSIONS = {
    "sqlite": "SELECT sqlite_version()",
    "mariadb": "SELECT version()",
    "postgresql": "SHOW server_version",
}
SHOWN = 20


def load(choice: random.Random, messages: int, lanes: int, kinds: tuple[str, ...] = KINDS) -> list[Said]:
    """Return messages of these kinds, in turn to each of so many chats."""
    return [Said(key=f"k{n}", chat=f"c{n % lanes}", text=f"{choice.choice(kinds)} t{n}") for n in range(messages)]


def head(promise: str, database: str, seed: int) -> dict[str, Any]:
    """Return what every report begins with."""
    return {
        "promise": promise,
        "database": database,
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "load at the end": round(os.getloadavg()[0], 1),
        "seed": seed,
    }


async def version_of(scene: Scene) -> str:
    """Return the kind and the version of a scene's database, which is created where it is missing."""
    scene.home.mkdir(parents=True, exist_ok=True)
    database = database_of(settings(scene.home, scene.database))
    await database.start()
    try:
        kind = database.dialect
        version = await database.read(lambda conn: conn.execute(text(VERSIONS[kind])).scalar())
    finally:
        await database.stop()
    return f"{kind} {version}"


@contextmanager
def servers_in_a_directory() -> Iterator[tuple[ServersOfTests, Path]]:
    """Give servers, and a place for scenes that is gone afterwards; PostgreSQL, as another user, may enter it."""
    with tempfile.TemporaryDirectory(prefix="rekku-chaos-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        servers = ServersOfTests(directory)
        try:
            yield servers, directory
        finally:
            servers.stop()


def is_there(dialect: str) -> bool:
    """Whether a database can be played on here; says so when it cannot."""
    if dialect == "sqlite" or is_installed(dialect):
        return True
    print(f"{dialect}: not installed here, left out.", flush=True)
    return False


def finished(report: dict[str, Any], broken: list[str], scene: Scene, keep: Path | None) -> dict[str, Any]:
    """Print a report, with the promises that were broken, and keep what they left where that is asked for."""
    report[BROKEN] = len(broken)
    for each in broken[:SHOWN]:
        print(f"{report['promise']} {report['database']}: {each}")
    print(", ".join(f"{key} {value}" for key, value in report.items()), flush=True)
    if keep is not None and broken:
        place = keep / f"{report['promise']}-{report['database'].split()[0]}"
        shutil.copytree(scene.directory, place, dirs_exist_ok=True)
    return report


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both commands have."""
    parser.add_argument("--database", nargs="+", choices=DIALECTS, default=DIALECTS, help="which ones (all)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="keep what a broken promise left, to look at")


def write(reports: list[dict[str, Any]], path: Path | None) -> None:
    """Write the reports where that is asked for."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")
