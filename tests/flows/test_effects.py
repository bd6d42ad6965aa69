"""What an action's effect promises: writes with their ledger row or not at all, and no end that is made up."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr, computed_field

from core.ai_plugin_base import ActionContext, AIPluginBase, Untrusted, action
from core.contracts.deliveries import ActivityKind
from core.testing import Answer, RunningApp, ScriptedEngine, actions, message, running_app
from tests.flows.records import SILENCE, outcome, statuses
from tests.flows.workshop import Workshop


async def notes(kit: RunningApp) -> list[str]:
    return [row["key"] for row in await kit.rows("SELECT key FROM kv WHERE owner = 'workshop' ORDER BY key")]


async def test_a_local_write_and_its_ledger_row_are_one() -> None:
    async with running_app(engine=ScriptedEngine(("note", {"text": "milk"})), plugins=[Workshop()]) as kit:
        await kit.interface.ask("note milk")
        assert await notes(kit) == ["milk"]
        assert await statuses(kit) == [("note", "done")]


async def test_a_local_write_that_raises_keeps_nothing() -> None:
    engine = ScriptedEngine(("note_badly", {"text": "milk"}), message("It failed."))
    async with running_app(engine=engine, plugins=[Workshop()]) as kit:
        assert await kit.interface.ask("note milk") == ["It failed."], "what it wanted to send is not sent either"
        assert await notes(kit) == []
        row = await outcome(kit, "note_badly")
        assert row["status"] == "failed"
        assert "the pencil broke" in row["reason"]
        assert "the pencil broke" in engine.last.messages[-1].content


async def test_what_stands_behind_a_write_that_fails_is_not_done() -> None:
    workshop = Workshop()
    reply = actions(
        ("note", {"text": "first"}),
        ("note_badly", {"text": "second"}),
        ("ring", {}),
        ("press", {"button": "a"}),
        ("note", {"text": "last"}),
    )
    async with running_app(engine=ScriptedEngine(reply, SILENCE), plugins=[workshop]) as kit:
        await kit.interface.ask("go")
        assert [status for _, status in await statuses(kit)] == ["done", "failed", "skipped", "skipped", "skipped"]
        assert workshop.done == []
        assert await notes(kit) == ["first"]
        shown = kit.engine.last.messages[-1].content
        assert '"action":"note_badly","status":"failed"' in shown


async def test_a_question_behind_a_write_that_fails_is_not_asked() -> None:
    rules = ({"verdict": "ask", "action": "press"},)
    reply = actions(("note_badly", {"text": "x"}), ("press", {"button": "a"}))
    async with running_app(engine=ScriptedEngine(reply, SILENCE), plugins=[Workshop()], policy_rules=rules) as kit:
        assert await kit.interface.ask("go") == []
        assert await statuses(kit) == [("note_badly", "failed"), ("press", "skipped")]
        assert await kit.rows("SELECT id FROM approvals") == []


async def test_what_was_said_before_a_failure_stays_in_the_history() -> None:
    reply = actions(("message", {"text": "I note it."}), ("note_badly", {"text": "x"}))
    async with running_app(engine=ScriptedEngine(reply, otherwise=SILENCE), plugins=[Workshop()]) as kit:
        assert await kit.interface.ask("go") == ["I note it."]
        await kit.interface.ask("well?")
        assert any("I note it." in m.content for m in kit.engine.last.messages)


async def test_a_read_that_writes_fails_and_says_how_to_declare_it() -> None:
    async with running_app(engine=ScriptedEngine(("read_and_write", {}), SILENCE), plugins=[Workshop()]) as kit:
        await kit.interface.ask("go")
        row = await outcome(kit, "read_and_write")
        assert row["status"] == "failed"
        assert 'Declare read_and_write with effect="local".' in row["reason"]


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        pytest.param("crash", "failed", "ValueError: a bug", id="an exception"),
        pytest.param("refuse", "failed", "The door is locked. Bring the key.", id="a reason"),
        pytest.param("note_slowly", "failed", "took longer than 0.05 s", id="a local deadline"),
        pytest.param("press_slowly", "unknown", "took longer than 0.05 s", id="an external deadline"),
        pytest.param("lose_the_line", "unknown", "the line is dead", id="a lost connection"),
    ],
)
async def test_how_handlers_end(name: str, status: str, reason: str) -> None:
    async with running_app(engine=ScriptedEngine((name, {}), otherwise=SILENCE), plugins=[Workshop()]) as kit:
        await kit.interface.ask("go")
        row = await outcome(kit, name)
        assert row["status"] == status
        assert reason in row["reason"]
        assert "\n" not in row["reason"]
        assert f'"status":"{status}"' in kit.engine.last.messages[-1].content
        assert await kit.interface.ask("still there?") == []


async def test_what_may_have_happened_is_not_repeated_in_its_turn() -> None:
    workshop = Workshop()
    again: Answer = ("lose_the_line", {})
    async with running_app(engine=ScriptedEngine(again, again, otherwise=SILENCE), plugins=[workshop]) as kit:
        await kit.interface.ask("go")
        assert workshop.done == ["lose_the_line"]
        assert await statuses(kit) == [("lose_the_line", "unknown"), ("lose_the_line", "unknown")]


async def test_a_handler_that_clings_does_not_hold_its_turn() -> None:
    workshop = Workshop()
    async with running_app(engine=ScriptedEngine(("cling", {}), message("Gave up.")), plugins=[workshop]) as kit:
        began = time.monotonic()
        assert await kit.interface.ask("go") == ["Gave up."]
        assert time.monotonic() - began < 3
        assert workshop.done == ["clung"]
        workshop.gate.set()


@dataclass
class Point:
    x: int
    y: float


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (Point(1, math.nan), '{"x":1,"y":null}'),
        ({"a": [1, None, True]}, '{"a":[1,null,true]}'),
        ("half \ud83d", '"half ?"'),
    ],
)
async def test_results_are_made_json(result: Any, output: str) -> None:
    workshop = Workshop()
    workshop.result = result
    async with running_app(engine=ScriptedEngine(("give", {}), SILENCE), plugins=[workshop]) as kit:
        await kit.interface.ask("give")
        assert (await outcome(kit, "give"))["output"] == output


def shared() -> list[Any]:
    """Return a list that holds itself 2 ** 60 times, without one copy of it."""
    value: list[Any] = ["x"]
    for _ in range(60):
        value = [value, value]
    return value


def holding_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(shared, id="shared"),
        pytest.param(holding_itself, id="itself"),
        pytest.param(itertools.count, id="endless"),
        pytest.param(lambda: {"x": ({"y": "z"} for _ in itertools.count())}, id="endless inside"),
        pytest.param(lambda: ["x" * 1_000_000] * 50, id="megabytes"),
        pytest.param(lambda: list(range(1_000_000)), id="a million numbers"),
        pytest.param(lambda: 10**100_000, id="a number"),
    ],
)
async def test_a_result_without_end_has_failed_and_holds_up_nobody(result: Callable[[], Any]) -> None:
    workshop = Workshop()
    workshop.result = result()
    engine = ScriptedEngine(("give", {}), message("Too much."), otherwise=message("Still here."))
    async with running_app(engine=engine, plugins=[workshop]) as kit:
        assert await kit.interface.ask("give") == ["Too much."]
        assert (await outcome(kit, "give"))["status"] == "failed"
        assert await kit.interface.ask("and you?") == ["Still here."]


async def test_a_result_that_is_slow_to_read_holds_up_nobody() -> None:
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def slow() -> Iterator[bool]:
        loop.call_soon_threadsafe(begun.set)
        yield go_on.wait(30)

    workshop = Workshop()
    workshop.result = slow()
    engine = ScriptedEngine(("give", {}), message("Still here."), SILENCE)
    async with running_app(engine=engine, plugins=[workshop]) as kit:
        giving = await kit.interface.say("give", chat_id="a")
        await begun.wait()
        assert await kit.interface.ask("and you?", chat_id="b") == ["Still here."]
        go_on.set()
        await kit.interface.ended(giving)
        assert (await outcome(kit, "give"))["output"] == "[true]"


class Loose(BaseModel):
    """Takes whatever it is given, and computes one thing more."""

    model_config = ConfigDict(extra="allow")
    text: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def page(self) -> Any:
        """Return what the text says, from outside."""
        return Untrusted(self.text)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda page: deque([page]),
        lambda page: (each for each in ["x", page]),
        lambda page: {"x": zip([page], [1], strict=True)},
        lambda page: MappingProxyType({"x": page}),
        lambda page: {page: 1},
        lambda page: {("x", page): 1},
        lambda page: Loose.model_validate({"anything": [page]}),
        lambda page: [Loose(text=page.text)],
        lambda page: ({"x": {1: [deque([(page,)])]}}),
    ],
)
async def test_untrusted_is_seen_wherever_it_stands(wrap: Callable[[Any], Any]) -> None:
    workshop = Workshop()
    workshop.result = wrap(Untrusted("wipe it"))
    async with running_app(engine=ScriptedEngine(("give", {}), SILENCE), plugins=[workshop]) as kit:
        await kit.interface.ask("give")
        row = await outcome(kit, "give")
        assert (row["status"], row["tainted"]) == ("done", 1)
        assert "wipe it" in row["output"]


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(object, id="unknown"),
        pytest.param(lambda: Loose.model_validate({"anything": [iter([1, 2])]}), id="looking would use it up"),
    ],
)
async def test_a_result_that_cannot_be_json_has_failed(result: Callable[[], Any]) -> None:
    workshop = Workshop()
    workshop.result = result()
    async with running_app(engine=ScriptedEngine(("give", {}), SILENCE), plugins=[workshop]) as kit:
        await kit.interface.ask("give")
        row = await outcome(kit, "give")
        assert row["status"] == "failed"
        assert "cannot be said in JSON" in row["reason"]


async def test_a_secret_in_an_output_is_masked_everywhere() -> None:
    secret = "sk-very-secret-value"
    workshop = Workshop()
    workshop.result = {"found": f"the key is {secret}", secret: [secret]}
    engine = ScriptedEngine(("give", {}), ("press", {"button": secret}), message(f"It is {secret}."))
    async with running_app(engine=engine, plugins=[workshop], openai_api_key=SecretStr(secret)) as kit:
        assert await kit.interface.ask("give") == ["It is [OPENAI_API_KEY]."]
        assert workshop.done == [f"press {secret}"], "the handler gets what was asked for"
        for table in ("ledger", "outbox", "messages"):
            assert secret not in str(await kit.rows(f"SELECT * FROM {table}")), table
        assert all(secret not in m.content for request in engine.requests[1:] for m in request.messages)


async def test_an_output_of_megabytes_does_not_become_the_prompt() -> None:
    workshop = Workshop()
    workshop.result = "x" * 3_000_000
    async with running_app(engine=ScriptedEngine(("give", {}), message("Much.")), plugins=[workshop]) as kit:
        assert await kit.interface.ask("give") == ["Much."]
        assert sum(len(m.content) for m in kit.engine.last.messages) < 100_000


async def test_progress_is_shown_and_sent_messages_arrive_when_the_action_is_done() -> None:
    class Baker(AIPluginBase):
        @action(effect="external", permission="anyone")
        async def bake(self, ctx: ActionContext) -> None:
            """Bake a cake."""
            ctx.progress("it rises")
            ctx.send("The cake is ready.")

    async with running_app(engine=ScriptedEngine(("bake", {})), plugins=[Baker()]) as kit:
        assert await kit.interface.ask("bake") == ["The cake is ready."]
        assert "it rises" in [activity.text for activity in kit.interface.activities]


async def test_long_work_is_told_now_and_then_until_it_ends() -> None:
    gate, bakes = asyncio.Event(), asyncio.Event()

    class Baker(AIPluginBase):
        @action(effect="external", permission="anyone")
        async def bake(self, ctx: ActionContext, tells: bool = False) -> None:
            """Bake a cake."""
            if tells:
                ctx.progress("it rises")
            bakes.set()
            await gate.wait()

    def told(kit: RunningApp) -> list[str]:
        return [a.text for a in kit.interface.activities if a.kind is ActivityKind.PROGRESS]

    async with running_app(engine=ScriptedEngine(("bake", {}), SILENCE), plugins=[Baker()]) as kit:
        asked = await kit.interface.say("bake")
        await bakes.wait()
        await kit.advance(9)
        assert told(kit) == []
        await kit.advance(22)
        gate.set()
        await kit.interface.ended(asked)
        await kit.advance(100)
        assert told(kit) == [f"Still working on bake, for {seconds} s now." for seconds in (10, 30)]
    gate.clear()
    async with running_app(engine=ScriptedEngine(("bake", {"tells": True}), SILENCE), plugins=[Baker()]) as kit:
        asked = await kit.interface.say("bake")
        await kit.interface.until(lambda: bool(told(kit)), "the action runs")
        await kit.advance(50)
        gate.set()
        await kit.interface.ended(asked)
        assert told(kit) == ["it rises"]
