"""What is counted and measured for health: distributions, the loop's lag, questions, the depths of the tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import update

from core.contracts.deliveries import Part
from core.contracts.engine import Usage
from core.contracts.errors import EngineTimeout, EngineUnavailable
from core.contracts.inputs import Address, Input, InputKind, Principal
from core.services import inbox, outbox
from core.services.database_watch import DatabaseWatch
from core.services.depths import Depths, depths
from core.services.figures import Distribution, Figures
from core.services.loop_lag import BEAT_S, LoopLag
from core.services.question import Question
from core.storage import schema, tables
from core.storage.sqlite import SqliteDatabase
from tests.support.stepped_clock import SteppedClock

NOW_MS = 1_800_000_000_000


def test_a_distribution_counts_what_is_not_above_each_bound() -> None:
    values = Distribution((1.0, 10.0))
    for value in (0.5, 1.0, 1.5, 10.5):
        values.add(value)
    assert values.buckets() == [("1.0", 2.0), ("10.0", 3.0), ("+Inf", 4.0)]
    assert (values.sum, values.last) == (13.5, 10.5)


def test_calls_are_counted_by_engine_and_result() -> None:
    figures = Figures()
    figures.engine_answered("a", 0.2, Usage(prompt_tokens=10, cached_tokens=4, completion_tokens=2))
    figures.engine_answered("a", 0.3, Usage())
    figures.engine_failed("a", 5.0, EngineTimeout("late"))
    figures.engine_failed("b", 0.1, EngineUnavailable("away"))
    assert figures.engines["a"].tokens == {"prompt": 10, "cached": 4, "completion": 2}
    assert figures.engines["a"].results == {"ok": 2, "engine_timeout": 1}
    assert figures.engines["b"].results == {"engine_unavailable": 1}
    assert figures.engines["a"].seconds.buckets()[-1] == ("+Inf", 3.0)


async def _beat(clock: SteppedClock, seconds: float) -> None:
    await clock.slept_for(BEAT_S)
    clock.advance(seconds)
    await clock.slept_for(BEAT_S)


async def test_the_lag_is_what_a_sleep_took_beyond_its_time() -> None:
    clock = SteppedClock()
    lag = LoopLag(clock)
    task = asyncio.create_task(lag.run())
    await _beat(clock, BEAT_S)
    assert (lag.recent_s, lag.most_s, lag.stalled) == (0.0, 0.0, False)

    await _beat(clock, BEAT_S + 3.0)
    assert (lag.recent_s, lag.most_s, lag.stalled) == (3.0, 3.0, False)

    for _ in range(240):
        await _beat(clock, BEAT_S)
    assert (lag.recent_s, lag.most_s) == (0.0, 3.0)
    task.cancel()


async def test_a_loop_that_does_not_turn_is_noticed_before_it_does() -> None:
    """Nobody is woken here: the clock goes on, and the sleep does not end."""
    clock = SteppedClock()
    lag = LoopLag(clock)
    clock.ms += 10_000
    assert not lag.stalled
    clock.ms += 500
    assert lag.stalled
    assert lag.recent_s == lag.most_s == lag.overdue_s == 10.25


class Asked:
    """A question whose answer a test gives."""

    def __init__(self) -> None:
        self.times = 0
        self.given: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.times += 1
        return await self.given


async def test_a_question_is_asked_once_at_a_time_and_nobody_waits_for_ever() -> None:
    asked = Asked()
    question = Question(asked, clock=SteppedClock(), patience_s=0.01)
    first, second = await asyncio.gather(question.answer(), question.answer())
    assert first is None
    assert second is None
    assert await question.answer() is None
    assert asked.times == 1

    asked.given.set_result("yes")
    assert await question.answer() == "yes"
    assert await question.answer() == "yes"
    assert asked.times == 2


async def test_an_answer_is_kept_for_a_while() -> None:
    clock, asked = SteppedClock(), Asked()
    asked.given.set_result("yes")
    question = Question(asked, clock=clock, patience_s=10.0, kept_s=30.0)
    for advance_s, times in ((0.0, 1), (29.0, 1), (2.0, 2)):
        clock.advance(advance_s)
        assert (await question.answer(), asked.times) == ("yes", times)


async def test_a_question_that_is_closed_leaves_nothing_behind() -> None:
    question = Question(Asked(), clock=SteppedClock(), patience_s=0.01)
    assert await question.answer() is None
    before = len(asyncio.all_tasks())
    question.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before - 1


@pytest.fixture
async def database() -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(None)
    await database.start()
    await schema.upgrade(database)
    yield database
    await database.stop()


async def test_a_database_that_answers_and_then_is_away(database: SqliteDatabase) -> None:
    clock = SteppedClock()
    watch = DatabaseWatch(database, clock)
    answer = await watch.answer()
    assert (answer.up, answer.reason, answer.since_good_s) == (True, "", 0.0)
    assert isinstance(await watch.depths(), Depths)

    await database.stop()
    clock.advance(40)
    answer = await watch.answer()
    assert (answer.up, answer.since_good_s) == (False, 40.0)
    assert "closed" in answer.reason
    assert await watch.depths() is None


async def test_a_database_that_never_answered() -> None:
    answer = await DatabaseWatch(SqliteDatabase(None), SteppedClock()).answer()
    assert (answer.up, answer.since_good_s) == (False, None)


def _put(conn: Any, chat: str, key: str, age_s: int, *, due_in_s: int = 0, state: str = "waiting") -> None:
    input = Input(
        kind=InputKind.MESSAGE,
        principal=Principal("test", chat),
        address=Address("test", chat),
        dedupe_key=key,
        text="hello",
        not_before_ms=NOW_MS + due_in_s * 1000 if due_in_s else 0,
    )
    inbox.put(conn, input, NOW_MS - age_s * 1000, passes_lanes=False, state=state)


async def test_nothing_waits_in_empty_tables(database: SqliteDatabase) -> None:
    assert await database.read(lambda conn: depths(conn, NOW_MS)) == Depths(
        inputs={"waiting": 0, "running": 0},
        lanes=0,
        deepest_lane=0,
        oldest_input_s=0.0,
        parts={"waiting": 0, "sending": 0, "sent": 0, "dead": 0},
        oldest_part_s=0.0,
        reminders=0,
        overdue_s=0.0,
    )


async def test_what_waits_is_counted_with_its_age(database: SqliteDatabase) -> None:
    def fill(conn: Any) -> None:
        _put(conn, "a", "1", 500, state="running")
        _put(conn, "a", "2", 90)
        _put(conn, "a", "3", 80)
        _put(conn, "b", "4", 1000, due_in_s=60)  # its time has not come: it does not wait yet
        _put(conn, "c", "5", 7000, due_in_s=-100)  # it has waited since its time came
        _put(conn, "c", "6", 9000, state="done")
        _put(conn, "d", "7", 9000, due_in_s=-7, state="scheduled")
        _put(conn, "d", "8", 9000, due_in_s=3600, state="scheduled")
        parts = [(Part(address=Address("test", "a"), text="x"), 60.0)] * 5
        first, second, third, *_ = outbox.put(conn, parts, 1, NOW_MS - 30_000)
        outbox.sent(conn, first, 0, "m", NOW_MS)
        outbox.bury(conn, second, 0, "gone", NOW_MS)
        conn.execute(update(tables.outbox).where(tables.outbox.c.id == third).values(state="sending"))

    await database.transact(fill)
    assert await database.read(lambda conn: depths(conn, NOW_MS)) == Depths(
        inputs={"waiting": 4, "running": 1},
        lanes=3,
        deepest_lane=3,
        oldest_input_s=100.0,
        parts={"waiting": 2, "sending": 1, "sent": 1, "dead": 1},
        oldest_part_s=30.0,
        reminders=2,
        overdue_s=7.0,
    )
