"""Erasing somebody beside a process that serves: refused while a turn of theirs runs, complete in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select

from core.contracts.errors import StorageUnavailable
from core.contracts.inputs import Address, Principal
from core.contracts.services import Database
from core.services import personal_data
from core.services.clock import SystemClock
from core.services.person_erasure import Erasing
from core.storage.tables import messages, metadata, outbox, reminders, sessions, turns
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.flows.test_command_line import refused, rekku

T = TypeVar("T")
ANN = Principal("test", "ann")


class Breaking:
    """A database that is gone after so many transactions."""

    def __init__(self, database: Database, transactions: int) -> None:
        self._database = database
        self.left = transactions

    async def transact(self, fn: Callable[[Any], T], *, durable: bool = True) -> T:
        if not self.left:
            raise StorageUnavailable("It is gone.")
        self.left -= 1
        return await self._database.transact(fn, durable=durable)

    async def read(self, fn: Callable[[Any], T]) -> T:
        return await self._database.read(fn)


async def erase(kit: RunningApp, database: Database | None = None) -> tuple[bool, dict[str, int]]:
    person = await kit.app.database.read(lambda conn: personal_data.find(conn, ANN, Address("test", "ann")))
    erasing = Erasing(database or kit.app.database, person, forget_block=False)
    return await erasing.run(kit.clock.now_ms()), dict(erasing.erased)


async def cells(kit: RunningApp) -> list[str]:
    """Every text in every table of the core."""
    found: list[str] = []
    for table in metadata.sorted_tables:
        rows = await kit.app.database.read(lambda conn, t=table: conn.execute(select(t)).all())  # type: ignore[misc]
        found += [f"{table.name}: {value}" for row in rows for value in row]
    return found


async def left_of_ann(kit: RunningApp) -> list[str]:
    return [text for text in await cells(kit) if "zebra" in text or ":ann" in text]


async def test_it_is_refused_while_a_turn_runs_and_nothing_is_lost(tmp_path: Path) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def slowly(request: Any) -> str:
        begun.set()
        await gate.wait()
        return message("zebra-answer")

    home = tmp_path / "home"
    async with running_app(home=home, engine=ScriptedEngine(slowly, message("hello")), access="open") as kit:
        running = await kit.interface.say("zebra-question", user_id="ann")
        await begun.wait()
        assert await erase(kit) == (False, {})
        assert any("zebra-question" in text for text in await left_of_ann(kit))
        gate.set()
        await kit.interface.ended(running)
        assert kit.interface.texts("ann") == ["zebra-answer"]
        assert (await erase(kit))[0]
        assert await left_of_ann(kit) == []
        assert await kit.interface.ask("hi", user_id="bob") == ["hello"]


async def test_the_command_refuses_beside_a_process_that_works_on_it(tmp_path: Path) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def slowly(request: Any) -> str:
        begun.set()
        await gate.wait()
        return message("zebra-answer")

    home = tmp_path / "home"
    engine = ScriptedEngine(slowly, otherwise=message("zebra-answer"))
    async with running_app(home=home, engine=engine, clock=SystemClock(), access="open") as kit:
        running = await kit.interface.say("zebra-question", user_id="ann")
        await begun.wait()
        said = await asyncio.to_thread(rekku, home, "people", "erase", "test:ann", "--yes")
        assert "is being worked on right now" in refused(said, 1)
        gate.set()
        await kit.interface.ended(running)
        said = await asyncio.to_thread(rekku, home, "people", "erase", "test:ann", "--yes")
        assert said.returncode == 0, said.stderr
        assert "takes this up within 5 seconds" in said.stdout
        assert await left_of_ann(kit) == []
        assert await kit.interface.replies(chat_id="ann") == ["zebra-answer"]
        assert await kit.interface.ask("zebra-again", user_id="ann") == ["zebra-answer"], "it goes on as ever"


async def test_what_waits_is_called_off_and_what_comes_later_is_new(tmp_path: Path) -> None:
    engine = ScriptedEngine(otherwise=message("hello"))
    async with running_app(engine=engine, access="open") as kit:
        waits = kit.interface.input("zebra-later", user_id="ann", not_before_ms=kit.clock.now_ms() + 60_000)
        await kit.interface.receive(waits)
        await kit.interface.ask("zebra-before", user_id="ann")
        done, erased = await erase(kit)
        assert done
        assert erased["inbox"] == 2
        assert await left_of_ann(kit) == []
        await kit.advance(120)
        await kit.app.drained()
        assert len(engine.requests) == 1, "it would have been answered by now"
        assert (await kit.interface.receive(waits)).duplicate, "its key is still known"

        await kit.interface.ask("zebra-new", user_id="ann")
        assert "zebra-before" not in str(engine.last.messages)
        rows = await kit.rows("SELECT text FROM messages WHERE principal = 'test:ann' AND role = 'user'")
        assert [row["text"] for row in rows] == ["zebra-new"]


async def test_what_they_begin_while_it_goes_on_is_not_touched() -> None:
    """The whole of a new turn between any two of its transactions: it runs, and its rows stay whole."""
    engine = ScriptedEngine(otherwise=message("hello"))

    class Meanwhile(Breaking):
        async def transact(self, fn: Callable[[Any], T], *, durable: bool = True) -> T:
            result: T = await super().transact(fn, durable=durable)
            if halted:
                await kit.interface.ask(f"zebra-new {self.left}", user_id="ann")
            halted.append("something was done")
            return result

    async with running_app(engine=engine, access="open") as kit:
        halted: list[str] = []
        await kit.interface.ask("walrus-before", user_id="ann")
        assert (await erase(kit, Meanwhile(kit.app.database, 99)))[0]
        kept = await kit.rows("SELECT text FROM messages WHERE role = 'user' AND principal = 'test:ann' ORDER BY id")
        assert len(kept) == len(engine.requests) - 1 > 3
        assert not any("walrus" in text for text in await cells(kit))
        bad = await kit.rows(
            "SELECT * FROM inbox WHERE (body LIKE '%zebra%') != (lane = 'test:ann' AND principal = 'test:ann')"
        )
        assert bad == []
        whole = await kit.rows(
            "SELECT 1 FROM turns JOIN inbox ON inbox.turn_id = turns.id JOIN replies ON replies.turn_id = turns.id"
            " JOIN sessions ON sessions.id = turns.session_id WHERE turns.lane = 'test:ann'"
        )
        assert len(whole) == len(kept)


async def test_reminders_of_theirs_and_to_them_do_not_come_any_more() -> None:
    engine = ScriptedEngine(otherwise=message("hello"))
    people = frozenset({"test:ann", "test:trainer"})
    async with running_app(engine=engine, trainer_ids=people) as kit:
        await kit.interface.ask("/remind in 1 hour to zebra-stretch", user_id="ann")
        engine.then(("create_reminder", {"text": "call", "when": "in 2 hours", "to": "test:ann"}))
        await kit.interface.ask("remind Ann to call")
        engine.then(("create_reminder", {"text": "rest", "when": "in 2 hours"}))
        await kit.interface.ask("remind me to rest")
        assert (await erase(kit))[1]["reminders"] == 2
        assert await kit.rows("SELECT text FROM reminders WHERE state = 'active'") == [{"text": "rest"}]
        before = len(kit.interface.texts("ann"))
        await kit.advance(3 * 3600)
        await kit.app.drained()
        await kit.interface.until(lambda: any("rest" in text for text in kit.interface.texts()), "the other reminder")
        assert len(kit.interface.texts("ann")) == before


async def _lives(kit: RunningApp) -> None:
    await kit.interface.ask("zebra-one", user_id="ann")
    await kit.interface.ask("walrus-one", user_id="bob")
    await kit.interface.ask("zebra-group", user_id="ann", chat_id="room")
    await kit.interface.say("zebra-heard", user_id="ann", chat_id="room", addressed=False)
    await kit.interface.ask("/new", user_id="ann")
    await kit.interface.ask("zebra-two", user_id="ann")


async def test_a_run_that_was_interrupted_anywhere_is_made_up_for(tmp_path: Path) -> None:
    for transactions in range(40):
        engine = ScriptedEngine(otherwise=message("hello"))
        async with running_app(engine=engine, access="open") as kit:
            await _lives(kit)
            broken = Breaking(kit.app.database, transactions)
            try:
                await erase(kit, broken)
            except StorageUnavailable:
                finished = False
            else:
                finished = True
            assert (await erase(kit))[0]
            assert await left_of_ann(kit) == []
            rows = await kit.rows("SELECT text FROM messages WHERE principal = 'test:bob' AND role = 'user'")
            assert [row["text"] for row in rows] == ["walrus-one"]
        if finished:
            break
    else:
        pytest.fail("erasing a few rows takes more than 40 transactions")
    assert transactions > 5


async def test_no_id_of_what_is_gone_is_given_out_again() -> None:
    engine = ScriptedEngine(otherwise=message("hello"))
    async with running_app(engine=engine, access="open", trainer_ids=frozenset({"test:ann"})) as kit:
        await _lives(kit)
        await kit.interface.ask("/remind in 1 hour to zebra-stretch", user_id="ann")
        tables = (turns, messages, outbox, sessions, reminders)

        async def newest() -> list[int]:
            return [
                await kit.app.database.read(lambda conn, t=table: conn.execute(select(func.max(t.c.id))).scalar())  # type: ignore[misc]
                for table in tables
            ]

        before = await newest()
        assert (await erase(kit))[0]
        assert await left_of_ann(kit) == []
        assert await newest() == before, "an empty shell keeps the highest id taken"
        await kit.interface.ask("/remind in 1 hour to stretch", user_id="ann")
        await kit.interface.ask("hi", user_id="ann", chat_id="room2")
        assert all(now > then for now, then in zip(await newest(), before, strict=True))
