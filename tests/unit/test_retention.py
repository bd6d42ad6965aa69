"""What may be pruned: by age, by number, and what something that is open still needs stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from core.services import outbox as outbox_rows
from core.services import retention
from core.services.prunable_rows import PRUNABLE, OldRow, count
from core.services.retention import DAY_MS, Bound, Retention, expired
from core.settings import EventSettings, RetentionSettings
from core.storage import schema
from core.storage.sqlite import SqliteDatabase
from core.storage.tables import (
    approvals,
    inbox,
    ledger,
    messages,
    outbox,
    reminders,
    replies,
    sessions,
    steps,
    turns,
)

NOW = 1000 * DAY_MS
OLD = NOW - 400 * DAY_MS
PAGES = {one.table.name: one for one in PRUNABLE}
FOR_EVER = dict.fromkeys(RetentionSettings.model_fields, 0)


def row(id: int, *, days: float = 0, ended_days: float | None = None, free: bool = True) -> OldRow:
    ended = days if ended_days is None else ended_days
    return OldRow(id=id, at_ms=int(NOW - days * DAY_MS), ended_at_ms=int(NOW - ended * DAY_MS), free=free)


@pytest.mark.parametrize(
    ("bound", "too_many", "gone"),
    [
        (Bound(days=10, rows=None), 0, [1, 2]),
        (Bound(days=None, rows=9), 0, []),
        (Bound(days=None, rows=9), 1, [1]),
        (Bound(days=None, rows=9), 99, [1, 2, 4, 5]),  # neither what is needed, nor what is younger than a day
        (Bound(days=10, rows=9), 3, [1, 2, 4]),
    ],
)
def test_what_is_too_old_or_too_many_goes(bound: Bound, too_many: int, gone: list[int]) -> None:
    page = [
        row(1, days=30),
        row(2, days=20),
        row(3, days=20, free=False),
        row(4, days=20, ended_days=2),
        row(5, days=2),
        row(6, days=0.5),
    ]
    assert expired(page, bound, too_many, NOW) == gone


@pytest.fixture
async def database() -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(None)
    await database.start()
    await database.transact(schema.create_all)
    yield database
    await database.stop()


def session(id: int, *, closed: int = 0, upto: int = 0) -> Any:
    values = {"id": id, "lane": f"t:{id}", "started_at_ms": OLD, "closed_at_ms": closed, "summarized_to": upto}
    return insert(sessions).values(values)


def message(id: int, session_id: int, *, at: int = OLD, turn: int = 0) -> Any:
    values = {"id": id, "session_id": session_id, "turn_id": turn, "role": "user", "text": "x", "at_ms": at}
    return insert(messages).values(values)


def turn(
    id: int,
    *,
    state: str = "complete",
    principal: str = "t:a",
    lane: str = "t:a",
    session_id: int = 1,
    started: int = OLD,
    origin: str = "user",
) -> Any:
    values = {
        "id": id,
        "input_id": id,
        "session_id": session_id,
        "lane": lane,
        "principal": principal,
        "origin": origin,
        "state": state,
        "started_at_ms": started,
        "ended_at_ms": 0 if state in ("running", "awaiting_approval") else started,
    }
    return insert(turns).values(values)


def delivery(id: int, state: str, *, turn_id: int = 0, ended: int = OLD) -> Any:
    values = {
        "id": id,
        "address": "t:a",
        "interface": "t",
        "turn_id": turn_id,
        "text": "x",
        "body": "{}",
        "state": state,
        "expires_at_ms": 0,
        "created_at_ms": OLD,
        "ended_at_ms": ended,
    }
    return insert(outbox).values(values)


def incoming(id: int, state: str, turn_id: int) -> Any:
    values = {
        "id": id,
        "interface": "t",
        "dedupe_key": str(id),
        "lane": "t:a",
        "kind": "message",
        "principal": "t:a",
        "body": "{}",
        "received_at_ms": OLD,
        "state": state,
        "turn_id": turn_id,
    }
    return insert(inbox).values(values)


def approval(turn_id: int, state: str) -> Any:
    values = {
        "id": f"{state}{turn_id}",
        "turn_id": turn_id,
        "step": 0,
        "position": 0,
        "lane": "t:a",
        "action": "x",
        "payload": "{}",
        "hash": "",
        "principal": "t:a",
        "approver": "role:trainer",
        "state": state,
        "created_at_ms": OLD,
        "expires_at_ms": OLD,
    }
    return insert(approvals).values(values)


def reminder(principal: str, state: str, number: int) -> Any:
    values = {
        "principal": principal,
        "number": number,
        "address": principal,
        "asked_in": principal,
        "text": "x",
        "mode": "literal",
        "start": "",
        "zone": "UTC",
        "missed": "once",
        "state": state,
        "created_at_ms": OLD,
    }
    return insert(reminders).values(values)


def recorded(turn_id: int) -> list[Any]:
    """A reply, a step, an action and a used approval of a turn."""
    return [
        insert(replies).values(
            turn_id=turn_id, step=0, attempt=0, engine="e", model="m", text="x", finish_reason="stop", at_ms=OLD
        ),
        insert(steps).values(turn_id=turn_id, number=0, at_ms=OLD),
        insert(ledger).values(
            turn_id=turn_id,
            step=0,
            position=0,
            action="x",
            payload="{}",
            hash="",
            effect="read",
            principal="t:a",
            status="done",
            started_at_ms=OLD,
        ),
        approval(turn_id, "used"),
    ]


async def filled(database: SqliteDatabase, *statements: Any) -> None:
    await database.transact(lambda conn: [conn.execute(statement).rowcount for statement in statements])


async def ids(database: SqliteDatabase, table: Any) -> list[int]:
    return await database.read(lambda conn: list(conn.execute(select(table.c.id).order_by(table.c.id)).scalars()))


async def pruned(database: SqliteDatabase, **bounds: int) -> dict[str, int]:
    return await Retention(RetentionSettings(**{**FOR_EVER, **bounds}), EventSettings()).prune(database, NOW)


async def test_messages_that_a_conversation_or_a_turn_needs_stay(database: SqliteDatabase) -> None:
    await filled(
        database,
        session(1, upto=2),
        session(2, closed=OLD),
        session(3),
        turn(1, state="awaiting_approval"),
        turn(2),
        message(1, 1),
        message(2, 1),
        message(3, 1),  # behind the summary of a conversation that goes on
        message(4, 2),
        message(5, 2, turn=1),  # of an open turn
        message(6, 2, turn=2),
        message(7, 2, at=NOW - 5 * DAY_MS),
        message(8, 99),  # of a conversation that is gone
        message(9, 3),
        message(10, 2),  # the newest
    )
    assert await pruned(database, history_days=30) == {"messages": 5}
    assert await ids(database, messages) == [3, 5, 7, 9, 10]


async def test_a_conversation_goes_after_its_messages(database: SqliteDatabase) -> None:
    await filled(
        database,
        session(1, closed=OLD),
        session(2),
        session(3, closed=OLD),
        session(4, closed=OLD),
        session(5, closed=NOW - DAY_MS),
        session(6, closed=OLD),
        turn(1, session_id=4),
        incoming(1, "waiting", 1),
        message(1, 1),
        message(2, 3, at=NOW - DAY_MS),
        message(3, 2),
    )
    assert await pruned(database, history_days=30) == {"messages": 1, "sessions": 1}
    # Open, not empty, of an open turn, young, the newest.
    assert await ids(database, sessions) == [2, 3, 4, 5, 6]


async def test_turns_go_with_all_that_was_recorded_of_them(database: SqliteDatabase) -> None:
    await filled(database, turn(1), turn(2), *recorded(1), *recorded(2))
    assert await pruned(database, ledger_days=30) == {"turns": 1}
    for table in (replies, steps, ledger, approvals):
        left = await database.read(lambda conn, t=table: list(conn.execute(select(t.c.turn_id)).scalars()))  # type: ignore[misc]
        assert left == [2], table.name


async def test_turns_that_something_open_needs_stay(database: SqliteDatabase) -> None:
    await filled(
        database,
        turn(1, state="running"),
        turn(2, state="awaiting_approval"),
        turn(3),
        turn(4),
        turn(5),
        turn(6),
        turn(7),
        turn(8, lane="t:group"),
        turn(9, principal="t:b"),
        turn(10, principal="t:a", origin="system"),
        turn(11, state="error"),
        turn(12, principal="t:c", started=NOW - DAY_MS),
        turn(13, principal="t:c", started=NOW),
        incoming(1, "waiting", 3),
        incoming(2, "done", 7),
        approval(4, "waiting"),
        approval(5, "approved"),
        delivery(1, "waiting", turn_id=6),
        reminder("t:a", "active", 1),
        reminder("t:b", "done", 2),
    )
    assert await pruned(database, ledger_days=30) == {"turns": 3}
    # 8 and 11: the newest of somebody with an active reminder in that chat.
    assert await ids(database, turns) == [1, 2, 3, 4, 5, 6, 8, 11, 12, 13]


async def test_deliveries_that_wait_stay(database: SqliteDatabase) -> None:
    await filled(
        database,
        delivery(1, "sent"),
        delivery(2, "waiting", ended=0),
        delivery(3, "sending", ended=0),
        delivery(4, "dead"),
        delivery(5, "dead", ended=NOW - DAY_MS),
        delivery(6, "sent"),
    )
    assert await pruned(database, outbox_days=30) == {"outbox": 2}
    assert await ids(database, outbox) == [2, 3, 5, 6]


async def test_of_more_than_the_largest_number_the_oldest_go(database: SqliteDatabase) -> None:
    await filled(database, *(delivery(id, "sent") for id in range(1, 8)))
    assert await pruned(database, outbox_rows=7) == {}
    assert await pruned(database, outbox_rows=4) == {"outbox": 3}
    assert await ids(database, outbox) == [4, 5, 6, 7]


async def test_nothing_is_deleted_where_all_is_kept_for_ever(database: SqliteDatabase) -> None:
    await filled(database, session(1, closed=1), *(message(id, 1, at=1) for id in range(1, 4)), delivery(1, "sent"))
    assert await pruned(database) == {}


async def test_a_run_is_bounded_and_the_next_one_goes_on(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PAGES_A_RUN", 2)
    page = PAGES["messages"].most
    rows = page * 5 + 1
    await filled(
        database,
        session(1),
        session(2, closed=OLD),
        session(3),
        # A page of what is needed stands before what is not, and holds nothing up.
        *(message(id, 1 if id <= page else 2) for id in range(1, rows + 1)),
    )
    kept = Retention(RetentionSettings(**{**FOR_EVER, "history_days": 30}), EventSettings())
    found = [await kept.prune(database, NOW) for _ in range(4)]
    assert [one.get("messages", 0) for one in found] == [page, 2 * page, page, 0]
    await filled(database, message(rows + 1, 2))
    assert await kept.prune(database, NOW + retention.REST_MS - 1) == {}, "the table rests"
    assert await kept.prune(database, NOW + retention.REST_MS) == {"messages": 1}
    assert await ids(database, messages) == [*range(1, page + 1), rows + 1]


async def test_rows_are_counted_only_where_there_may_be_too_many(database: SqliteDatabase) -> None:
    await filled(database, delivery(1, "sent"), delivery(9, "sent"))
    assert await database.read(lambda conn: count(conn, outbox, 8)) == 2
    assert await database.read(lambda conn: count(conn, outbox, 9)) == 0
    assert await database.read(lambda conn: count(conn, messages, 0)) == 0


async def test_no_id_is_given_out_twice(database: SqliteDatabase) -> None:
    await filled(database, delivery(1, "sent"), delivery(2, "sent"))
    assert await database.transact(lambda conn: outbox_rows.prune(conn, NOW)) == 1
    assert await pruned(database, outbox_days=1) == {}
    assert await ids(database, outbox) == [2]


async def test_pages_are_read_along_the_primary_key(database: SqliteDatabase) -> None:
    """No page sorts, and none reads a table whole: what is walked over is bounded by the page."""
    seen: list[str] = []

    def plans(conn: Any) -> None:
        from sqlalchemy import event

        statements: list[tuple[str, Any]] = []

        def note(conn_: Any, cursor: Any, statement: str, parameters: Any, *more: Any) -> None:
            statements.append((statement, parameters))

        event.listen(conn, "before_cursor_execute", note)
        for one in PRUNABLE:
            one.page(conn, 5)
        event.remove(conn, "before_cursor_execute", note)
        for statement, parameters in statements:
            plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            seen.extend(f"{line[-1]}" for line in plan)

    await filled(database, turn(6), turn(7), session(6, closed=OLD), session(7), message(6, 6), message(7, 6))
    await database.read(plans)
    assert len(seen) > 10
    assert [line for line in seen if line.startswith("SCAN") or "TEMP B-TREE" in line] == []
    assert await database.read(lambda conn: conn.execute(text("SELECT count(*) FROM turns")).scalar()) == 2
