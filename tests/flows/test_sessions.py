"""Several conversations in one chat: each with its own history, and none of another chat's."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, TurnContext, hook
from core.contracts.hooks import SessionView
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.flows.workshop import Workshop


@pytest.fixture
async def kit() -> AsyncIterator[RunningApp]:
    async with running_app(engine=ScriptedEngine(otherwise=message("ok")), plugins=[Workshop()]) as running:
        yield running


def seen(kit: RunningApp) -> str:
    return "\n".join(one.content for one in kit.engine.last.messages)


async def ids(kit: RunningApp, chat_id: str = "") -> list[int]:
    listed = (await kit.interface.ask("/sessions", chat_id=chat_id))[-1]
    return [int(number) for number in re.findall(r"^- `(\d+)`", listed, re.MULTILINE)]


async def test_a_conversation_goes_on_where_it_was_left(kit: RunningApp) -> None:
    await kit.interface.ask("my cat is called Tom")
    assert await kit.interface.ask("/new holidays") == ["A new conversation begins: holidays."]
    await kit.interface.ask("where to go")
    assert "Tom" not in seen(kit)
    (listed,) = await kit.interface.ask("/sessions")
    assert "holidays" in listed.splitlines()[2]
    assert "(this one)" in listed.splitlines()[2]
    assert "my cat is called Tom" in listed.splitlines()[3]
    assert "(closed)" in listed.splitlines()[3]
    second, first = await ids(kit)
    assert (await kit.interface.ask(f"/switch {first}"))[0].startswith(f"The conversation {first} goes on")
    await kit.interface.ask("what is it called")
    assert "Tom" in seen(kit)
    assert "where to go" not in seen(kit)
    assert await kit.interface.ask(f"/switch {first}") == [f"This is the conversation {first} already."]
    await kit.interface.ask(f"/switch {second}")
    await kit.interface.ask("and then")
    assert "where to go" in seen(kit)
    assert "Tom" not in seen(kit)


async def test_the_summary_comes_back_too(kit: RunningApp) -> None:
    await kit.interface.ask("hello")
    (first,) = await ids(kit)
    await kit.app.database.transact(
        lambda conn: conn.exec_driver_sql("UPDATE sessions SET summary = 'They like tea.'") and None
    )
    await kit.interface.ask("/new")
    await kit.interface.ask("hello again")
    assert "They like tea." not in seen(kit)
    await kit.interface.ask(f"/switch {first}")
    await kit.interface.ask("hello once more")
    assert "They like tea." in seen(kit)


async def test_a_session_belongs_to_its_chat(kit: RunningApp) -> None:
    await kit.interface.ask("secret plans")
    (first,) = await ids(kit)
    await kit.interface.ask("hi", chat_id="group")
    (refused,) = await kit.interface.ask(f"/switch {first}", chat_id="group")
    assert "has no conversation" in refused
    assert first not in await ids(kit, "group")
    await kit.interface.ask("hi again", chat_id="group")
    assert "secret plans" not in seen(kit)


async def test_who_may_not_talk_may_not_look_at_the_conversations(kit: RunningApp) -> None:
    await kit.interface.ask("hello")
    (answer,) = await kit.interface.ask("/sessions", user_id="stranger")
    assert "I do not know you" in answer


async def test_closing_goes_back_to_the_one_that_is_open_or_begins_another(kit: RunningApp) -> None:
    await kit.interface.ask("one")
    await kit.interface.ask("/new")
    await kit.interface.ask("two")
    second, first = await ids(kit)
    await kit.interface.ask(f"/switch {first}")
    assert "closed" in (await kit.interface.ask("/close"))[0]
    await kit.interface.ask("three")
    assert "two" in seen(kit)
    await kit.interface.ask("/close")
    await kit.interface.ask("four")
    assert "two" not in seen(kit)
    assert len(await ids(kit)) == 3
    assert second in await ids(kit)


async def test_what_is_closed_is_told_once_and_a_conversation_where_something_was_said(kit: RunningApp) -> None:
    await kit.interface.ask("one")
    await kit.interface.ask("/new")
    await kit.interface.ask("/close")
    await kit.app.drained()
    first, second = sorted(await ids(kit))[:2]

    def told() -> list[tuple[str, Any]]:
        found = [record.event for record in reversed(kit.app.events.history.listing())]
        return [
            (e.name, e.data["session_id"]) for e in found if e.name in ("session.closed", "conversation.complete")
        ]

    await kit.interface.until(lambda: len(told()) == 3, "the end of both")
    assert told() == [("session.closed", first), ("conversation.complete", first), ("session.closed", second)]


async def test_a_turn_that_waited_for_an_approval_goes_on_in_its_own_conversation(kit: RunningApp) -> None:
    kit.engine.then(("read_page", {"url": "u"}), ("wipe", {"path": "/tmp"}))
    await kit.interface.ask("read and wipe")
    await kit.interface.ask("/new")
    await kit.interface.press(kit.interface.buttons()[0])
    await kit.interface.until(lambda: "ok" in kit.interface.texts(), "the end of the turn")
    await kit.app.drained()
    rows = await kit.rows("SELECT session_id FROM messages WHERE text LIKE '%wipe%'")
    assert {row["session_id"] for row in rows} == {min(await ids(kit))}


async def test_a_hook_chooses_another_session_of_the_chat_and_none_of_another_chat() -> None:
    wanted: list[int] = []

    class Chooser(AIPluginBase):
        @hook("resolve_session")
        async def choose(self, turn: TurnContext, session: SessionView) -> SessionView:
            return dataclasses.replace(session, id=wanted[-1]) if wanted else session

    async with running_app(engine=ScriptedEngine(otherwise=message("ok")), plugins=[Chooser()]) as kit:
        await kit.interface.ask("in the group", chat_id="group")
        await kit.interface.ask("my cat is called Tom")
        (first,) = await ids(kit)
        (elsewhere,) = await ids(kit, "group")
        await kit.interface.ask("/new")
        wanted.append(first)
        await kit.interface.ask("what is it called")
        assert "Tom" in seen(kit)
        wanted.append(elsewhere)
        await kit.interface.ask("and what did they say")
        assert "in the group" not in seen(kit)
