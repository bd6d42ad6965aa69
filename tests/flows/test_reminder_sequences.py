"""Whatever is set, cancelled, waited for and restarted: each occurrence comes once, or is named as missed."""

from __future__ import annotations

import asyncio
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.testing import FakeClock, RunningApp, ScriptedEngine, running_app
from tests.flows.records import SILENCE

Act = tuple[str, int]
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(2, 45)),
        st.tuples(st.just("cancel"), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.integers(1, 90)),
        st.tuples(st.just("down"), st.integers(1, 60 * 24 * 3)),
    ),
    min_size=3,
    max_size=9,
)
MINUTE_MS = 60_000


@dataclass(slots=True)
class Expected:
    """One reminder as the test counts it: every so many minutes since `since_ms`, until it was cancelled."""

    minutes: int
    since_ms: int
    until_ms: int | None = None

    def occurrences(self, now_ms: int) -> int:
        return (min(now_ms, self.until_ms or now_ms) - self.since_ms) // (self.minutes * MINUTE_MS)


async def play(acts: list[Act], home: Path) -> None:
    clock = FakeClock()
    expected: list[Expected] = []
    todo = list(acts)
    while True:
        async with running_app(engine=ScriptedEngine(), clock=clock, home=home) as kit:
            await kit.app.drained()
            while todo and todo[0][0] != "down":
                await act(kit, todo.pop(0), expected)
            if not todo:
                await check(kit, expected)
                return
        await clock.advance(todo.pop(0)[1] * 60)


async def act(kit: RunningApp, given: Act, expected: list[Expected]) -> None:
    what, number = given
    if what == "set":
        payload = {"text": f"every {number}", "repeat": f"every {number} minutes"}
        kit.engine.then(("create_reminder", payload), SILENCE)
        await kit.interface.ask("set one")
        expected.append(Expected(minutes=number, since_ms=kit.clock.now_ms()))
    elif what == "cancel" and number <= len(expected):
        kit.engine.then(("cancel_reminder", {"number": number}), SILENCE)
        await kit.interface.ask("cancel one")
        expected[number - 1].until_ms = expected[number - 1].until_ms or kit.clock.now_ms()
    elif what == "wait":
        for _ in range(number):
            await kit.advance(60)
            await kit.app.drained()


async def check(kit: RunningApp, expected: list[Expected]) -> None:
    rows = await kit.rows("SELECT payload, status, reason FROM ledger WHERE action = 'reminder'")
    for number, one in enumerate(expected, 1):
        mine = [row for row in rows if f'"number":{number},' in row["payload"]]
        named = sum(int(found.group(1)) for row in mine if (found := re.search(r"(\d+) earlier", row["reason"])))
        assert all(row["status"] == "done" for row in mine)
        assert len(mine) + named == one.occurrences(kit.clock.now_ms()), (number, one)
    scheduled = await kit.rows("SELECT count(*) AS n FROM inbox WHERE state = 'scheduled'")
    assert scheduled[0]["n"] == sum(one.until_ms is None for one in expected)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(ACTS)
def test_each_occurrence_once_or_named(acts: list[Act]) -> None:
    with tempfile.TemporaryDirectory(prefix="rekku-") as home:
        asyncio.run(play(acts, Path(home)))
