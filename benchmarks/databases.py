"""A turn on each database, beside a plain loop of the same statements on the same server.

The statements of all turns are written down while they run, transaction by transaction. Then the driver alone runs
them again, in the same order, on a second database with the same tables: what is left is our own share and what
SQLAlchemy takes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, event

from benchmarks.chats import Chats
from benchmarks.conversations import SAID
from benchmarks.figures import Figure, percentile
from benchmarks.installation import installation
from core.storage import schema
from core.storage.opening import StoredDatabase
from core.storage.server import ServerDatabase
from core.storage.sqlite import SqliteDatabase
from tests.support.database_servers import SERVERS, DatabaseServer, is_installed

T = TypeVar("T")

WARM_UP = 20
TRACE = "benchmark_trace"


@dataclass(slots=True)
class Transaction:
    """What one transaction said, in order: (statement, parameters, many at once)."""

    write: bool
    durable: bool
    statements: list[tuple[str, Any, bool]] = field(default_factory=list)


class Traced:
    """A database that writes down the statements of each transaction that is done."""

    def __init__(self, database: StoredDatabase) -> None:
        self._database = database
        self.dialect, self.where = database.dialect, database.where
        self.done: list[Transaction] = []
        self.writes_down = False

    async def start(self) -> None:
        await self._database.start()

    async def stop(self) -> None:
        await self._database.stop()

    async def exclusively(self, fn: Callable[[Any], T]) -> T:
        return await self._database.exclusively(fn)

    async def transact(self, fn: Callable[[Any], T], *, durable: bool = True) -> T:
        return await self._database.transact(self._traced(fn, Transaction(True, durable)), durable=durable)

    async def read(self, fn: Callable[[Any], T]) -> T:
        return await self._database.read(self._traced(fn, Transaction(False, False)))

    def _traced(self, fn: Callable[[Any], T], transaction: Transaction) -> Callable[[Any], T]:
        if not self.writes_down:
            return fn

        def traced(conn: Any) -> T:
            transaction.statements.clear()
            conn.info[TRACE] = transaction.statements
            try:
                result = fn(conn)
            finally:
                del conn.info[TRACE]
            self.done.append(transaction)
            return result

        return traced


def _note(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
    statements = conn.info.get(TRACE)
    if statements is not None:
        statements.append((statement, parameters, executemany))


async def databases(directory: Path, base_url: str, *, turns: int) -> list[Figure]:
    """Measure turns on SQLite, and on each server that is installed."""
    event.listen(Engine, "before_cursor_execute", _note)
    try:
        figures = await _on_sqlite(directory / "sqlite", base_url, turns)
        for dialect, kind in SERVERS.items():
            if not is_installed(dialect):
                print(f"{dialect} is not installed (apt install {kind.packages}): it is left out.")
                continue
            # Not below the directory of the benchmark: PostgreSQL runs as a user who may not enter every home.
            with tempfile.TemporaryDirectory(prefix="bench-server-") as name:
                server = kind(Path(name))
                await asyncio.to_thread(_begin, server)
                try:
                    figures += await _on_server(directory / dialect, base_url, turns, server)
                finally:
                    await asyncio.to_thread(server.stop)
    finally:
        event.remove(Engine, "before_cursor_execute", _note)
    return figures


def _begin(server: DatabaseServer) -> None:
    server.directory.chmod(0o755)
    server.install()
    server.start()


async def _on_sqlite(home: Path, base_url: str, turns: int) -> list[Figure]:
    await asyncio.to_thread(home.mkdir, parents=True)
    traced = Traced(SqliteDatabase(home / "turns.db"))
    seconds = await _turns(home, base_url, turns, traced)
    plain = SqliteDatabase(home / "plain.db")
    await plain.start()
    await schema.upgrade(plain)
    await plain.stop()
    began = time.perf_counter()
    await asyncio.to_thread(_again_on_sqlite, home / "plain.db", traced.done)
    return _figures("sqlite", seconds, traced.done, time.perf_counter() - began)


async def _on_server(home: Path, base_url: str, turns: int, server: DatabaseServer) -> list[Figure]:
    await asyncio.to_thread(home.mkdir, parents=True)
    traced = Traced(ServerDatabase(server.url("turns")))
    seconds = await _turns(home, base_url, turns, traced)
    plain = ServerDatabase(server.url("plain"))
    await plain.start()
    await schema.upgrade(plain)
    await plain.stop()
    again = _again_on_mariadb if server.dialect == "mariadb" else _again_on_postgresql
    url = plain.url
    async with again(url) as run:
        began = time.perf_counter()
        for transaction in traced.done:
            await run(transaction)
        elapsed = time.perf_counter() - began
    return _figures(server.dialect, seconds, traced.done, elapsed)


async def _turns(home: Path, base_url: str, turns: int, traced: Traced) -> list[float]:
    chats = Chats()
    traced.writes_down = True  # from the first: later rows name earlier ones
    async with installation(home / "home", base_url, chats, database=traced) as app:
        for number in range(WARM_UP):
            await chats.say("long", SAID.format(number=number))
        seconds = [await chats.say("long", SAID.format(number=number)) for number in range(turns)]
        await app.drained()
        traced.writes_down = False
    return seconds


def _figures(name: str, seconds: Sequence[float], done: Sequence[Transaction], plain_s: float) -> list[Figure]:
    turns = len(seconds) + WARM_UP
    statements = sum(len(each.statements) for each in done)
    writes = sum(each.write for each in done)
    p50 = percentile(seconds, 0.5)
    return [
        Figure(name=f"{name}: turn, p50", value=p50 * 1e3, unit="ms"),
        Figure(name=f"{name}: transactions a turn", value=len(done) / turns, unit=""),
        Figure(name=f"{name}: of them writing", value=writes / turns, unit=""),
        Figure(name=f"{name}: statements a turn", value=statements / turns, unit=""),
        Figure(name=f"{name}: plain loop of the same statements, a turn", value=plain_s / turns * 1e3, unit="ms"),
        Figure(name=f"{name}: turn to plain loop", value=p50 / (plain_s / turns), unit="times"),
    ]


def _again_on_sqlite(path: Path, done: Sequence[Transaction]) -> None:
    conn = sqlite3.connect(path, isolation_level=None, cached_statements=512)
    conn.execute("PRAGMA journal_mode=WAL")
    for transaction in done:
        conn.execute(f"PRAGMA synchronous={'FULL' if transaction.durable else 'NORMAL'}")
        conn.execute("BEGIN IMMEDIATE" if transaction.write else "BEGIN")
        for statement, parameters, many in transaction.statements:
            cursor = conn.executemany(statement, parameters) if many else conn.execute(statement, parameters)
            if cursor.description:
                cursor.fetchall()
        conn.execute("COMMIT" if transaction.write else "ROLLBACK")
    conn.close()


@asynccontextmanager
async def _again_on_mariadb(url: Any) -> AsyncIterator[Callable[[Transaction], Any]]:
    import aiomysql  # type: ignore[import-untyped]

    conn = await aiomysql.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, db=url.database, charset="utf8mb4"
    )

    async def run(transaction: Transaction) -> None:
        await conn.begin()
        async with conn.cursor() as cursor:
            for statement, parameters, many in transaction.statements:
                await (cursor.executemany if many else cursor.execute)(statement, parameters)
                if cursor.description:
                    await cursor.fetchall()
        await (conn.commit if transaction.write else conn.rollback)()

    try:
        yield run
    finally:
        conn.close()


@asynccontextmanager
async def _again_on_postgresql(url: Any) -> AsyncIterator[Callable[[Transaction], Any]]:
    import asyncpg  # type: ignore[import-untyped]

    conn = await asyncpg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, database=url.database
    )

    async def run(transaction: Transaction) -> None:
        began = conn.transaction(readonly=not transaction.write)
        await began.start()
        if transaction.write and not transaction.durable:
            await conn.execute("SET LOCAL synchronous_commit TO OFF")
        for statement, parameters, many in transaction.statements:
            prepared = await _prepared(conn, statement)
            for each in parameters if many else [parameters]:
                await prepared.fetch(*each)
        await (began.commit if transaction.write else began.rollback)()

    kept: dict[str, Any] = {}

    async def _prepared(conn: Any, statement: str) -> Any:
        if statement not in kept:
            kept[statement] = await conn.prepare(statement)
        return kept[statement]

    try:
        yield run
    finally:
        await conn.close()
