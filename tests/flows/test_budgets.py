"""Budgets: counted from the tables by principal, told once, and no engine call beyond them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.contracts.engine import EngineReply, EngineRequest, Usage
from core.contracts.inputs import Principal, Role
from core.settings import BudgetSettings
from core.testing import FakeClock, RunningApp, ScriptedEngine, message, running_app
from core.testing.engine import Answer
from tests.flows.records import SILENCE

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


@asynccontextmanager
async def app(
    *, role: str = "guest", otherwise: Answer = SILENCE, home: Path | None = None, clock: Any = None, **budget: Any
) -> AsyncIterator[RunningApp]:
    """Run an app in which anybody is a guest with this budget."""
    budgets = BudgetSettings.model_validate({role: budget})
    engine = ScriptedEngine(otherwise=otherwise)
    async with running_app(engine=engine, access="open", budgets=budgets, home=home, clock=clock) as kit:
        yield kit


def using(prompt: int | None, completion: int | None, text: str = SILENCE) -> EngineReply:
    return EngineReply(text=text, usage=Usage(prompt_tokens=prompt, completion_tokens=completion), prompt_bytes=4000)


async def test_turns_are_counted_by_the_hour_and_told_once() -> None:
    async with app(turns_per_hour=2) as kit:  # the clock stands at 17:37
        for _ in range(2):
            assert await kit.interface.ask("hi", user_id="ann") == []
        (sentence,) = await kit.interface.ask("hi", user_id="ann")
        assert "the 2 turns that a guest may have in an hour" in sentence
        assert "in 23 minutes" in sentence
        for _ in range(3):
            assert await kit.interface.ask("hi", user_id="ann", chat_id="group") == []
        assert len(kit.engine.requests) == 2
        reasons = await kit.rows("SELECT state, reason FROM turns ORDER BY id")
        assert [row["state"] for row in reasons] == ["complete"] * 2 + ["error"] * 4
        assert reasons[-1]["reason"] == "The budget turns_per_hour (2 for a guest) is used up."

        await kit.advance(23 * 60)
        await kit.interface.ask("hi", user_id="ann")
        await kit.interface.ask("hi", user_id="ann")
        assert len(kit.engine.requests) == 4
        assert len(await kit.interface.ask("hi", user_id="ann")) == 1, "a new window, told again"


async def test_what_was_refused_is_no_history() -> None:
    async with app(turns_per_hour=1) as kit:
        await kit.interface.ask("first", user_id="ann")
        await kit.interface.ask("refused", user_id="ann")
        assert "refused" not in str(await kit.rows("SELECT text FROM messages"))


async def test_each_has_their_own_budget_and_trainers_have_none() -> None:
    async with app(turns_per_hour=1) as kit:
        for _ in range(2):
            await kit.interface.ask("hi", user_id="ann")
        await kit.interface.ask("hi", user_id="bob")
        for _ in range(3):
            await kit.interface.ask("hi")
        assert len(kit.engine.requests) == 5
        assert kit.app.env.budgets.keys() == {Role.USER, Role.GUEST}


async def test_trainers_have_one_if_it_is_set() -> None:
    async with app(role="trainer", turns_per_hour=1) as kit:
        await kit.interface.ask("hi")
        assert "that a trainer may have" in (await kit.interface.ask("hi"))[0]
        assert len(kit.engine.requests) == 1


async def test_commands_are_not_counted_and_not_refused() -> None:
    async with app(turns_per_hour=1) as kit:
        for _ in range(3):
            assert (await kit.interface.ask("/help", user_id="ann"))[0].startswith("**Commands**")
        await kit.interface.ask("hi", user_id="ann")
        assert "turn that a guest" in (await kit.interface.ask("hi", user_id="ann"))[0]
        assert (await kit.interface.ask("/help", user_id="ann"))[0].startswith("**Commands**")
        assert "running here" in (await kit.interface.ask("/stop", user_id="ann"))[0]


async def test_a_restart_forgets_neither_the_count_nor_that_it_was_told(tmp_path: Path) -> None:
    clock = FakeClock()
    async with app(turns_per_hour=1, home=tmp_path, clock=clock) as kit:
        await kit.interface.ask("hi", user_id="ann")
    async with app(turns_per_hour=1, home=tmp_path, clock=clock) as kit:
        assert len(await kit.interface.ask("hi", user_id="ann")) == 1
    async with app(turns_per_hour=1, home=tmp_path, clock=clock) as kit:
        assert await kit.interface.ask("hi", user_id="ann") == []
        assert kit.engine.requests == []


async def test_tokens_are_counted_by_the_day() -> None:
    async with app(engine_tokens_per_day=1000, otherwise=using(400, 100)) as kit:
        for _ in range(2):
            assert await kit.interface.ask("hi", user_id="ann") == []
        (sentence,) = await kit.interface.ask("hi", user_id="ann")
        assert "the 1,000 tokens of the model that a guest may use in a day" in sentence
        assert "in 7 hours" in sentence
        assert await kit.interface.ask("hi", user_id="ann") == []
        await kit.interface.ask("hi", user_id="bob")
        assert len(kit.engine.requests) == 3
        await kit.advance(7 * HOUR_S)
        await kit.interface.ask("hi", user_id="ann")
        assert len(kit.engine.requests) == 4


async def test_corrections_cost_tokens_too() -> None:
    async with app(engine_tokens_per_day=900) as kit:
        kit.engine.then(
            using(400, 100, '{"actions": [{"type": "nonsense", "payload": {}}]}'), using(400, 100, message("hi"))
        )
        await kit.interface.ask("hi", user_id="ann")
        assert len(await kit.interface.ask("hi", user_id="ann")) == 1
        assert len(kit.engine.requests) == 2


async def test_tokens_that_a_server_does_not_tell_are_estimated() -> None:
    async with app(engine_tokens_per_day=1000, otherwise=using(None, None)) as kit:
        await kit.interface.ask("hi", user_id="ann")
        assert len(await kit.interface.ask("hi", user_id="ann")) == 1
        assert len(kit.engine.requests) == 1


async def test_what_waits_is_bounded_but_commands_that_pass_are_taken() -> None:
    gate = asyncio.Event()

    async def wait(_: EngineRequest) -> str:
        await gate.wait()
        return message("done")

    async with app(pending_inputs=2, otherwise=wait) as kit:
        taken = [await kit.interface.say("hi", user_id="ann", chat_id=chat) for chat in ("a", "b")]
        (sentence,) = await kit.interface.ask("third", user_id="ann")
        assert "2 messages of yours wait already" in sentence
        assert await kit.interface.ask("fourth", user_id="ann") == []
        await kit.advance(60)
        assert len(await kit.interface.ask("fifth", user_id="ann")) == 1
        await kit.interface.say("talk", user_id="ann", chat_id="a", addressed=False)
        await kit.interface.ask("/stop", user_id="ann", chat_id="b")
        gate.set()
        for accepted in taken:
            await kit.interface.ended(accepted)
        assert await kit.interface.ask("sixth", user_id="ann") == ["done"]
        spoken = str(await kit.rows("SELECT text FROM messages"))
        assert "talk" in spoken
        assert "third" not in spoken


async def test_a_turn_that_waited_is_counted_once_it_runs() -> None:
    """Two chats side by side: of two turns that begin together, one fits."""
    async with app(turns_per_hour=1) as kit:
        both = [await kit.interface.say("hi", user_id="ann", chat_id=chat) for chat in ("a", "b")]
        for accepted in both:
            await kit.interface.ended(accepted)
        assert len(kit.engine.requests) == 1


@pytest.mark.sqlite
async def test_the_counts_use_their_indexes() -> None:
    from core.services import budgets

    async with app() as kit:
        seen: list[str] = []

        def explain(conn: Any) -> None:
            from sqlalchemy import event

            statements: list[tuple[str, Any]] = []
            event.listen(conn, "before_cursor_execute", lambda *a: statements.append((a[2], a[3])))
            budgets.turns_before(conn, "x", 9, 0)
            budgets.tokens_since(conn, "x", 0)
            budgets.waiting_inputs(conn, "x", 0)
            for sql, values in list(statements):
                plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
                seen.append(" ".join(row[-1] for row in plan))

        await kit.app.database.transact(explain)
        expected = ("turns_principal", "turns_principal", "asks_principal", "inbox_principal")
        assert [name in plan for name, plan in zip(expected, seen, strict=True)] == [True] * 4, seen
        assert not any("SCAN" in plan for plan in seen), seen


@pytest.mark.parametrize("role", [Role.USER, Role.GUEST])
async def test_strangers_and_users_are_bounded_by_default(role: Role) -> None:
    async with running_app(engine=ScriptedEngine(otherwise=SILENCE), access="open") as kit:
        assert kit.app.env.people.role(Principal("test", "x")) is Role.GUEST
        budget = kit.app.env.budgets[role]
        assert None not in (budget.turns_per_hour, budget.engine_tokens_per_day, budget.pending_inputs)
