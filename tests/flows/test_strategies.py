"""Turn strategies of plugins: another loop for a session, which can only ever take away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, StepPlan, TurnContext, hook, strategy
from core.contracts.actions import ActionSpec
from core.contracts.errors import DeclarationError
from core.contracts.steps import Step
from core.contracts.strategies import PLAN_ACTION
from core.testing import RunningApp, ScriptedEngine, actions, message, running_app
from tests.flows.records import outcome, statuses, turns
from tests.flows.workshop import Workshop


class Loops(AIPluginBase):
    """Strategies for the tests; `asked`: how many steps there were whenever it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answer: Any = None

    @strategy("one_step")
    def one_step(self, turn: TurnContext, steps: tuple[Step, ...]) -> StepPlan:
        self.asked.append(len(steps))
        return StepPlan(last=True)

    @strategy("plan_first")
    async def plan_first(self, turn: TurnContext, steps: tuple[Step, ...]) -> StepPlan | None:
        self.asked.append(len(steps))
        if not steps:
            return StepPlan(plan_only=True, instruction="Write a plan first, as a message.")
        return StepPlan(instruction="Carry the plan out.") if len(steps) == 1 else None

    @strategy("look_only")
    def look_only(self, turn: TurnContext, steps: tuple[Step, ...]) -> StepPlan:
        return StepPlan(actions={"look", "core_approve", "wipe"} if turn.role == "trainer" else {"look", "wipe"})

    @strategy("any", timeout_s=0.05)
    async def any(self, turn: TurnContext, steps: tuple[Step, ...]) -> Any:
        self.asked.append(len(steps))
        answer = self.answer[len(steps)] if isinstance(self.answer, list) else self.answer
        if isinstance(answer, BaseException):
            raise answer
        if answer == "late":
            await asyncio.Event().wait()
        return answer

    @hook("filter_actions")
    def shorten(self, turn: TurnContext, specs: list[ActionSpec]) -> list[ActionSpec]:
        return [spec for spec in specs if spec.type != "ring" or "quietly" not in turn.text]


@pytest.fixture
async def kit() -> AsyncIterator[RunningApp]:
    async with running_app(
        engine=ScriptedEngine(otherwise=message("ok")), plugins=[Workshop(), Loops()], max_steps=3, access="open"
    ) as running:
        yield running


def loops(kit: RunningApp) -> Loops:
    component = kit.app.registry.get("plugin", "Loops") or kit.app.registry.get("plugin", "loops")
    assert component is not None
    assert isinstance(component.instance, Loops)
    return component.instance


async def test_one_step_only_and_its_outcome_is_told(kit: RunningApp) -> None:
    await kit.interface.ask("/strategy one_step")
    kit.engine.then(("look", {"at": "the sky"}))
    assert await kit.interface.ask("look up") == ["the sky is blue"]
    assert len(kit.engine.requests) == 1
    assert (await turns(kit))[-1] == {"state": "complete", "reason": "", "steps": 1}


async def test_plan_first_then_act(kit: RunningApp) -> None:
    await kit.interface.ask("/strategy plan_first")
    kit.engine.then(
        actions(("press", {"button": "a"}), ("message", {"text": "1. press b"})),
        ("press", {"button": "b"}),
        message("pressed"),
    )
    assert await kit.interface.ask("press it") == ["pressed"]
    assert [row for row in await statuses(kit) if row[0] != "core_strategy"] == [
        (PLAN_ACTION, "done"),
        ("press", "done"),
        ("message", "done"),
    ]
    assert (await outcome(kit, "press"))["payload"] == '{"button":"b"}'
    assert kit.engine.requests[0].messages[-1].content == "Write a plan first, as a message."
    second = "\n".join(one.content for one in kit.engine.requests[1].messages)
    assert "1. press b" in second
    assert "Carry the plan out." in second
    assert "Write a plan first" not in second
    assert loops(kit).asked == [0, 1, 2]


async def test_a_strategy_narrows_and_never_widens(kit: RunningApp) -> None:
    await kit.interface.ask("/strategy look_only", chat_id="hall")
    kit.engine.then(("press", {"button": "a"}), ("wipe", {"path": "/"}), message("done"))
    assert await kit.interface.ask("press", user_id="guest", chat_id="hall") == ["done"]
    shown = {spec.type for spec in kit.engine.requests[0].actions}
    assert shown == {"look", "message"}
    assert (await outcome(kit, "press"))["reason"] == "press is not to be used in this step."
    assert (await outcome(kit, "wipe"))["status"] == "denied"


async def test_the_limit_of_steps_holds(kit: RunningApp) -> None:
    await kit.interface.ask("/strategy any")
    loops(kit).answer = StepPlan(plan_only=True)
    (reply,) = await kit.interface.ask("go on and on")
    assert "3 steps" in reply
    assert len(kit.engine.requests) == 3


@pytest.mark.parametrize(
    "answer",
    [
        ValueError("a bug"),
        "late",
        5,
        StepPlan(actions="look"),
        StepPlan(instruction="\ud800"),
        StepPlan(instruction="x" * 9000),
        StepPlan(plan_only=True, last=True),
        StepPlan(last=1),  # type: ignore[arg-type]
    ],
    ids=str,
)
async def test_one_that_does_not_work_leaves_nothing_but_messages(
    kit: RunningApp, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    await kit.interface.ask("/strategy any")
    loops(kit).answer = answer
    kit.engine.then(("look", {"at": "it"}), message("I cannot"))
    assert await kit.interface.ask("look") == ["I cannot"]
    assert loops(kit).asked == [0]
    assert "a turn strategy did not work" in capsys.readouterr().out
    assert (await outcome(kit, "look"))["reason"] == "look is not to be used in this step."
    for request in kit.engine.requests:
        assert [spec.type for spec in request.actions] == ["message"]
        assert "The turn strategy any of this conversation does not work" in request.messages[-1].content
    assert "any" not in (await kit.interface.ask("/strategy default"))[0]
    kit.engine.then(("look", {"at": "it"}), message("seen"))
    assert await kit.interface.ask("look") == ["seen"]
    assert plugin_done(kit) == ["look it"]


@pytest.mark.parametrize(
    ("first", "done"),
    [
        (StepPlan(actions={"look"}), ["look it", "look again"]),
        (StepPlan(), ["look it", "press a", "look again"]),
        (StepPlan(plan_only=True), []),
    ],
    ids=["narrow", "wide", "plan"],
)
async def test_one_that_fails_in_a_later_step_leaves_what_it_left_before(
    kit: RunningApp, first: StepPlan, done: list[str]
) -> None:
    await kit.interface.ask("/strategy any")
    loops(kit).answer = [first, ValueError("a bug")]
    kit.engine.then(
        actions(("look", {"at": "it"})),
        actions(("press", {"button": "a"}), ("look", {"at": "again"})),
        actions(("look", {"at": "again"})),
    )
    await kit.interface.ask("press it")
    assert sorted(set(plugin_done(kit))) == sorted(done)


async def test_what_is_kept_from_the_model_is_not_described(kit: RunningApp) -> None:
    await kit.interface.ask("/strategy any")
    loops(kit).answer = StepPlan(actions={"look", "ring", "describe_actions"})
    asked = ("describe_actions", {"names": ["look", "press", "ring"], "about": "press the bell button"})
    kit.engine.then(asked, message("ok"))
    await kit.interface.ask("what is there? quietly!")
    assert set(json.loads((await outcome(kit, "describe_actions"))["output"])) == {"look", "message"}


def plugin_done(kit: RunningApp) -> list[str]:
    """Return what was really done."""
    return next(c.instance.done for c in kit.app.registry.components("plugin") if isinstance(c.instance, Workshop))


async def test_what_nobody_provides_cannot_be_chosen_and_leaves_nothing_but_messages(kit: RunningApp) -> None:
    (refused,) = await kit.interface.ask("/strategy tree_of_thought")
    assert "No plugin provides the turn strategy tree_of_thought" in refused
    assert "plan_first" in refused
    assert "default" in refused
    await kit.interface.ask("/strategy one_step")
    assert "one_step" in (await kit.interface.ask("/strategy"))[0]
    component = next(c for c in kit.app.registry.components("plugin") if c.instance is loops(kit))
    await kit.app.plugins.control.quarantine(component.name, "for the test")
    kit.engine.then(("look", {"at": "it"}), message("I cannot"))
    assert "I cannot" in await kit.interface.ask("look")
    assert plugin_done(kit) == []


async def test_it_is_kept_with_the_conversation_and_a_guest_cannot_choose_it(kit: RunningApp) -> None:
    await kit.interface.ask("/strategy one_step")
    await kit.interface.ask("/new")
    assert "one_step" in (await kit.interface.ask("/strategy"))[0]
    await kit.interface.ask("/strategy default")
    assert "no turn strategy" in (await kit.interface.ask("/strategy"))[0]
    (refused,) = await kit.interface.ask("/strategy one_step", user_id="guest")
    assert "for a trainer" in refused


@pytest.mark.parametrize("name", ["", "Plan", "default", "a b", "x" * 41])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError):
        strategy(name)(lambda turn, steps: None)


async def test_two_plugins_cannot_have_the_same() -> None:
    class Other(AIPluginBase):
        @strategy("one_step")
        def one_step(self, turn: TurnContext, steps: tuple[Step, ...]) -> None: ...

    async with running_app(plugins=[Loops(), Other()]) as kit:
        reasons = [c.reason for c in kit.app.registry.components("plugin")]
        assert sum("has a turn strategy one_step" in reason for reason in reasons) == 1
