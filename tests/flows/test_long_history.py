"""A hundred thousand messages of history: a turn reads no more of them, all are exported, and what is old goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, insert

from core.contracts.inputs import Address, Principal
from core.services import personal_data
from core.services.history import LARGEST_WINDOW
from core.services.person_export import tables
from core.settings import RetentionSettings
from core.storage.tables import messages, turns
from core.testing import RunningApp, ScriptedEngine, message, running_app
from core.turn.housekeeping import keep_house

MESSAGES, TURNS, AT_ONCE = 100_000, 5_000, 2_500
DAY_S = 24 * 3600.0
KEPT = RetentionSettings(history_days=30, ledger_days=30)
BIG = ("messages", "turns")
MOST_RUNS = 80

Statements = list[tuple[str, Any]]


@contextmanager
def noted() -> Iterator[Statements]:
    """Note every statement with its parameters."""
    found: Statements = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        found.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


class _Undone(Exception):
    pass


async def whole_tables_read(kit: RunningApp, statements: Statements) -> list[str]:
    """Return the statements for which a big table is read from end to end, as the database itself plans them."""
    found: list[str] = []

    def explain(conn: Any) -> None:
        for statement, parameters in dict(
            zip(map(str, (s for s, _ in statements)), statements, strict=True)
        ).values():
            if statement.split()[0] in ("SELECT", "UPDATE", "DELETE") and any(name in statement for name in BIG):
                plan = conn.exec_driver_sql(_EXPLAIN[conn.dialect.name] + statement, parameters)
                found.extend(f"{statement}: {row}" for row in map(tuple, plan) if _is_whole(conn.dialect.name, row))
        raise _Undone

    try:
        await kit.app.database.transact(explain)
    except _Undone:
        return found
    raise AssertionError("it raises")


_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "mariadb": "EXPLAIN ", "postgresql": "EXPLAIN "}


def _is_whole(dialect: str, row: tuple[Any, ...]) -> bool:
    if dialect == "sqlite":
        return any(str(row[3]) == f"SCAN {name}" for name in BIG)
    if dialect == "postgresql":
        return any(f"Seq Scan on {name} " in str(row[0]) for name in BIG)
    return row[2] in BIG and row[3] in ("ALL", "index") and int(row[8] or 0) > AT_ONCE


async def test_a_hundred_thousand_messages() -> None:
    engine = ScriptedEngine(otherwise=message("hello"))
    async with running_app(engine=engine, retention=KEPT, access="open") as kit:
        await kit.interface.ask("the first")
        [session] = await kit.rows("SELECT id FROM sessions")
        await _planted(kit, session["id"], AT_ONCE)
        shorter, _ = await _statements_of_a_turn(kit, "behind some")
        await _planted(kit, session["id"], MESSAGES - AT_ONCE)
        if kit.app.database.dialect != "sqlite":
            analyze = "ANALYZE TABLE messages, turns" if kit.app.database.dialect == "mariadb" else "ANALYZE"
            await kit.app.database.transact(lambda conn: conn.exec_driver_sql(analyze) and None)
        longer, shown = await _statements_of_a_turn(kit, "behind many")
        assert {statement for statement, _ in longer} <= {statement for statement, _ in shorter}
        assert 0 < shown <= LARGEST_WINDOW, "no more is shown to the model"
        assert await whole_tables_read(kit, longer) == []

        person = await kit.app.database.read(
            lambda conn: personal_data.find(conn, Principal("test", "trainer"), Address("test", "trainer"))
        )
        exported = 0
        async for table, rows in tables(kit.app.database, person):
            exported += len(rows) if table == "messages" else 0
        [stored] = await kit.rows("SELECT count(*) AS n FROM messages")
        assert exported == stored["n"] > MESSAGES

        await kit.interface.ask("/new")
        await kit.advance(40 * DAY_S)
        await kit.interface.ask("of today")
        for _ in range(MOST_RUNS):
            await keep_house(kit.app.env)
            [left] = await kit.rows("SELECT count(*) AS n FROM messages WHERE text LIKE 'old %'")
            [left_turns] = await kit.rows("SELECT count(*) AS n FROM turns WHERE reason = 'planted'")
            if not left["n"] and not left_turns["n"]:
                break
        assert (left["n"], left_turns["n"]) == (0, 0)
        [young] = await kit.rows("SELECT count(*) AS n FROM messages WHERE text = 'of today'")
        assert young["n"] == 1, "what is young stays"


async def _statements_of_a_turn(kit: RunningApp, said: str) -> tuple[Statements, int]:
    """Return the statements of a turn, and how many old messages its prompt shows."""
    with noted() as statements:
        await kit.interface.ask(said)
    prompt = next(str(request.messages) for request in reversed(kit.engine.requests) if said in str(request.messages))
    return _of_the_turn(statements), prompt.count("old ")


def _of_the_turn(statements: Statements) -> Statements:
    """Leave out what jobs ask beside it: what is old is looked for all the while."""
    return [
        (statement, given)
        for statement, given in statements
        if re.search(r"messages\.session_id = |^(INSERT INTO|UPDATE) (messages|turns)|turns\.id = ", statement)
        and "ORDER BY messages.id \n" not in statement
        and "messages JOIN" not in statement
        and "LEFT OUTER JOIN" not in statement
    ]


async def _planted(kit: RunningApp, session: int, count: int) -> None:
    """Add messages to a conversation, in bulk, and a turn for each twenty of them."""
    said_ms = kit.clock.now_ms()
    share = MESSAGES // TURNS

    def plant(conn: Any) -> None:
        row = {
            "input_id": 0,
            "session_id": session,
            "lane": "test:trainer",
            "principal": "test:trainer",
            "origin": "user",
            "state": "complete",
            "reason": "planted",
            "started_at_ms": said_ms,
            "ended_at_ms": said_ms,
        }
        conn.execute(insert(turns), [row] * (AT_ONCE // share))
        rows = [
            {
                "session_id": session,
                "role": "user" if number % 2 else "assistant",
                "text": f"old {number:06}",
                "at_ms": said_ms,
                "principal": "test:trainer",
            }
            for number in range(AT_ONCE)
        ]
        conn.execute(insert(messages), rows)

    for _ in range(count // AT_ONCE):
        await kit.app.database.transact(plant)
