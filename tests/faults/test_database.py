"""The database file: a first start that is torn, and another process that holds it for a while."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from core.storage import schema
from core.storage.sqlite import SqliteDatabase
from tests.faults.aftermath import Scene, complaints
from tests.faults.child import DIED
from tests.faults.children import ROOT, Children
from tests.faults.outside import WORLD, Said

TORN = """
import asyncio, os, sys
from pathlib import Path
from core.storage import schema
from core.storage.sqlite import SqliteDatabase

def torn(conn):
    getattr(schema, sys.argv[2])(conn)
    os._exit(9)

async def start():
    database = SqliteDatabase(Path(sys.argv[1]))
    await database.start()
    await database.transact(torn)

asyncio.run(start())
"""


@pytest.mark.parametrize("how", ["create_all", "migrate"])
async def test_death_before_the_schema_is_committed(how: str, tmp_path: Path) -> None:
    path = tmp_path / "rekku.db"
    died = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", TORN, str(path), how], cwd=ROOT)
    assert died.returncode == DIED

    database = SqliteDatabase(path)
    await database.start()
    assert await schema.upgrade(database) == ""
    assert await database.read(schema.revision) == schema.HEAD
    await database.stop()


async def test_kills_during_the_first_start(tmp_path: Path) -> None:
    """Each home is killed a little later in its first start, then a second time, then started for good."""
    said = [Said(key="k1", chat="a", text="both t1")]

    async def torn(place: int, children: Children) -> tuple[int, list[str]]:
        scene = Scene(tmp_path / str(place))
        for _ in range(2):
            code = await scene.run(children, said, kill_after_s=0.004 * place)
            assert code in (-9, 0), scene.log()
        assert await scene.run(children, said) == 0, scene.log()
        return code, complaints(scene, said)

    async with Children() as children:
        results = await asyncio.gather(*(torn(place, children) for place in range(16)))
    assert [wrong for _, wrong in results if wrong] == []
    assert any(code == -9 for code, _ in results)


async def _touched(scene: Scene) -> None:
    """Wait until an action has touched the world."""
    for _ in range(2000):
        if scene.outside.read(WORLD):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(scene.log())


@pytest.mark.parametrize("busy_s", [5.0, 0.1], ids=["within the wait", "beyond the wait"])
async def test_another_process_locks_the_file(busy_s: float, tmp_path: Path) -> None:
    """It is locked while an action runs: the end of the action is written when that is possible again."""
    scene = Scene(tmp_path)
    said = [Said(key=f"k{n}", chat=f"c{n}", text=f"mixed t{n}") for n in (1, 2)]
    async with Children() as children:
        running = asyncio.create_task(scene.run(children, said, act_s=0.3, busy_s=busy_s))
        await _touched(scene)
        with closing(sqlite3.connect(scene.home / "rekku.db", isolation_level=None, timeout=5.0)) as other:
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(1.0)
            other.execute("ROLLBACK")
        assert await running == 0, scene.log()

    assert complaints(scene, said) == []
    waited = "waits for the database" in scene.log()
    assert waited == (busy_s < 1.0)
