"""What the disk takes for one durable commit, bare and through the group commit of the writer thread."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

from sqlalchemy import text

from benchmarks.figures import Figure, percentile
from core.storage.sqlite import SqliteDatabase

COMMITS = 200
AT_ONCE = 20


async def disk(directory: Path) -> list[Figure]:
    """Measure commits on the disk of `directory`."""
    bare = percentile(_bare_commits(directory / "bare.db"), 0.5)
    one, many = await _grouped(directory / "grouped.db")
    return [
        Figure(name="bare SQLite insert and commit (FULL), p50", value=bare * 1e3, unit="ms"),
        Figure(name="the same through transact, p50", value=one * 1e3, unit="ms"),
        Figure(name=f"the same, {AT_ONCE} at once, each", value=many * 1e3, unit="ms"),
    ]


def _bare_commits(path: Path) -> list[float]:
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    seconds = []
    for _ in range(COMMITS):
        began = time.perf_counter()
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("INSERT INTO t (text) VALUES ('a row of a hundred bytes or so')")
        conn.execute("COMMIT")
        seconds.append(time.perf_counter() - began)
    conn.close()
    return seconds


async def _grouped(path: Path) -> tuple[float, float]:
    database = SqliteDatabase(path)
    await database.start()
    create = text("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    insert = text("INSERT INTO t (text) VALUES ('a row of a hundred bytes or so')")
    try:
        await database.transact(lambda conn: conn.execute(create) and None)
        single = []
        for _ in range(COMMITS):
            began = time.perf_counter()
            await database.transact(lambda conn: conn.execute(insert) and None)
            single.append(time.perf_counter() - began)
        together = []
        for _ in range(COMMITS // AT_ONCE):
            began = time.perf_counter()
            await asyncio.gather(
                *(database.transact(lambda conn: conn.execute(insert) and None) for _ in range(AT_ONCE))
            )
            together.append((time.perf_counter() - began) / AT_ONCE)
    finally:
        await database.stop()
    return percentile(single, 0.5), percentile(together, 0.5)
