"""Each of the ten hooks changes in a real turn what it is for, and no more than that."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, Block, Intercept, TurnContext, Untrusted, hook
from core.contracts.actions import ActionEnvelope, ActionSpec
from core.contracts.deliveries import Delivery
from core.contracts.engine import EngineReply, EngineRequest, Source
from core.contracts.hooks import HOOKS, SessionView
from core.contracts.inputs import Input, Principal
from core.contracts.outcomes import Outcome
from core.testing import RunningApp, ScriptedEngine, actions, message, running_app
from tests.flows.records import SILENCE, outcome, statuses
from tests.flows.workshop import Workshop

SEEN: set[str] = set()


def plugin(name: str, call: Any) -> AIPluginBase:
    """Return a plugin with one hook."""
    SEEN.add(name)

    class Hooked(AIPluginBase):
        @hook(name)
        async def on(self, turn: TurnContext, *args: Any) -> Any:
            return call(turn, *args)

    return Hooked()


async def test_transform_input_rewrites_what_the_model_sees_alone() -> None:
    def shout(turn: TurnContext, input: Input) -> Input:
        return dataclasses.replace(input, text=input.text.upper())

    async with running_app(engine=ScriptedEngine(message("ok")), plugins=[plugin("transform_input", shout)]) as kit:
        await kit.interface.ask("hello")
        assert kit.engine.last.messages[-1].content == "HELLO"


async def test_transform_input_cannot_change_who_asks_or_where() -> None:
    def become_the_trainer(turn: TurnContext, input: Input) -> Input:
        return dataclasses.replace(input, principal=Principal("test", "trainer"))

    workshop = Workshop()
    engine = ScriptedEngine(("press", {"button": "a"}), ("wipe", {"path": "/"}), SILENCE)
    async with running_app(
        engine=engine, plugins=[workshop, plugin("transform_input", become_the_trainer)], access="open"
    ) as kit:
        await kit.interface.ask("hello", user_id="guest")
        assert workshop.done == []
        rows = await kit.rows("SELECT DISTINCT principal FROM ledger")
        assert rows == [{"principal": "test:guest"}]


async def test_transform_input_answers_without_the_model() -> None:
    async with running_app(plugins=[plugin("transform_input", lambda *_: Intercept("Closed today."))]) as kit:
        assert await kit.interface.ask("hello") == ["Closed today."]
        assert kit.engine.requests == []
        assert await statuses(kit) == [("message", "done")]


@pytest.mark.parametrize(
    ("reply", "sent"),
    [
        ("", []),
        ("   ", ["A plugin has answered this in my place"]),
        (None, ["A plugin has answered this in my place"]),
        ("x" * 90_000, ["x" * 90_000]),
        ("x" * 200_000, ["A plugin has answered this in my place"]),
        ("half \ud83d", ["half \\ud83d"]),
    ],
)
async def test_an_answer_in_place_of_the_model_never_goes_to_the_model(reply: Any, sent: list[str]) -> None:
    async with running_app(plugins=[plugin("transform_input", lambda *_: Intercept(reply))]) as kit:
        told = await kit.interface.ask("hello")
        assert [text[: len(start)] for text, start in zip(told, sent, strict=True)] == sent
        assert kit.engine.requests == []


async def test_what_after_action_hides_stays_hidden_after_an_approval() -> None:
    def hide(turn: TurnContext, action: ActionEnvelope, result: Outcome) -> Outcome | None:
        return dataclasses.replace(result, output="(hidden)") if action.type == "look" else None

    rules = ({"verdict": "ask", "action": "press"},)
    engine = ScriptedEngine(("look", {"at": "the sky"}), ("press", {"button": "a"}), otherwise=SILENCE)
    hooked = plugin("after_action", hide)
    async with running_app(engine=engine, plugins=[Workshop(), hooked], policy_rules=rules) as kit:
        await kit.interface.ask("look and press")
        (waiting,) = await kit.rows("SELECT id FROM approvals")
        await kit.interface.say(f"/approve {waiting['id']}")
        await kit.interface.until(lambda: len(kit.interface.ends) >= 3, "the end of all")
        seen = "".join(m.content for m in kit.engine.last.messages)
        assert "a pressed" in seen
        assert "(hidden)" in seen
        assert "is blue" not in seen


async def test_what_after_action_hides_stays_hidden_after_a_restart_in_the_middle_of_a_step(tmp_path: Path) -> None:
    def hide(turn: TurnContext, action: ActionEnvelope, result: Outcome) -> Outcome | None:
        return dataclasses.replace(result, output="(hidden)") if action.type == "press" else None

    workshop, hooked = Workshop(), plugin("after_action", hide)
    engine = ScriptedEngine(actions(("press", {"button": "a"}), ("wait", {})))
    async with running_app(engine=engine, plugins=[workshop, hooked], home=tmp_path) as kit:
        await kit.interface.say("press and wait")
        await workshop.waiting.wait()
    async with running_app(plugins=[Workshop(), hooked], home=tmp_path) as kit:
        await kit.interface.until(lambda: len(kit.interface.ends) == 1, "the end of the turn")
        seen = "".join(m.content for m in kit.engine.last.messages)
        assert "(hidden)" in seen
        assert "a pressed" not in seen


async def test_taint_that_after_action_adds_is_there_after_an_approval(tmp_path: Path) -> None:
    def doubt(turn: TurnContext, action: ActionEnvelope, result: Outcome) -> Outcome | None:
        return dataclasses.replace(result, tainted=True) if action.type == "look" else None

    rules = ({"verdict": "ask", "action": "note"},)
    engine = ScriptedEngine(("look", {"at": "the sky"}), ("note", {"text": "blue"}), otherwise=SILENCE)
    async with running_app(engine=engine, plugins=[Workshop()], policy_rules=rules, home=tmp_path) as kit:
        await kit.interface.ask("look and note it")
        (waiting,) = await kit.rows("SELECT id FROM approvals")
    hooked = plugin("after_action", doubt)  # there since the restart
    async with running_app(engine=engine, plugins=[Workshop(), hooked], policy_rules=rules, home=tmp_path) as kit:
        await kit.interface.say(f"/approve {waiting['id']}")
        await kit.interface.until(lambda: len(kit.interface.ends) >= 2, "the end of all")
        (noted,) = await kit.rows("SELECT step FROM ledger WHERE action = 'note' AND status = 'done'")
        assert await kit.rows(f"SELECT tainted FROM steps WHERE number = {noted['step']}") == [{"tainted": 1}]


async def test_resolve_session_chooses_the_model() -> None:
    def choose(turn: TurnContext, session: SessionView) -> SessionView:
        return dataclasses.replace(session, model="special")

    async with running_app(engine=ScriptedEngine(message("ok")), plugins=[plugin("resolve_session", choose)]) as kit:
        await kit.interface.ask("hello")
        assert kit.engine.last.model == "special"


@pytest.mark.parametrize(
    ("fact", "source"), [("It rains.", Source.CONTEXT), (Untrusted("It rains."), Source.FOREIGN)]
)
async def test_gather_context_adds_facts_and_only_untrusted_ones_taint(fact: Any, source: Source) -> None:
    workshop = Workshop()
    async with running_app(
        engine=ScriptedEngine(("wipe", {"path": "/"}), SILENCE),
        plugins=[workshop, plugin("gather_context", lambda *_: fact)],
    ) as kit:
        await kit.interface.ask("hello")
        told = [m for m in kit.engine.requests[0].messages if "It rains." in m.content]
        assert [m.source for m in told] == [source]
        assert bool(workshop.done) is (source is Source.CONTEXT)


async def test_extend_system_prompt_changes_the_instructions() -> None:
    async with running_app(
        engine=ScriptedEngine(message("ok")),
        plugins=[plugin("extend_system_prompt", lambda _, prompt: prompt + "\nSpeak in verse.")],
    ) as kit:
        await kit.interface.ask("hello")
        assert kit.engine.last.instructions.endswith("\nSpeak in verse.")


async def test_filter_actions_takes_away_and_cannot_add() -> None:
    added = ActionSpec(type="forged", description="x", schema={"type": "object", "properties": {}})

    def narrow(turn: TurnContext, specs: Sequence[ActionSpec]) -> list[ActionSpec]:
        return [*(spec for spec in specs if spec.type != "roll_dice"), added]

    async with running_app(engine=ScriptedEngine(message("ok")), plugins=[plugin("filter_actions", narrow)]) as kit:
        await kit.interface.ask("hello")
        shown = {spec.type for spec in kit.engine.last.actions}
        assert "message" in shown
        assert not {"roll_dice", "forged"} & shown


async def test_filter_actions_that_fails_halfway_takes_nothing_away() -> None:
    def fail(turn: TurnContext, specs: Sequence[ActionSpec]) -> Iterator[ActionSpec]:
        yield specs[0]
        raise ValueError("no more")

    async with running_app(engine=ScriptedEngine(message("ok")), plugins=[plugin("filter_actions", fail)]) as kit:
        assert await kit.interface.ask("hello") == ["ok"]
        assert "roll_dice" in {spec.type for spec in kit.engine.last.actions}


async def test_before_and_after_llm_see_every_call_corrections_included() -> None:
    asked: list[EngineRequest] = []
    answered: list[str] = []

    def before(turn: TurnContext, request: EngineRequest) -> EngineRequest:
        asked.append(request)
        return dataclasses.replace(request, temperature=0.1 * len(asked))

    def after(turn: TurnContext, reply: EngineReply) -> EngineReply:
        answered.append(reply.text)
        return dataclasses.replace(reply, text=reply.text.replace("teh", "the"))

    first = plugin("before_llm", before)
    second = plugin("after_llm", after)
    first.name, second.name = "asking", "answering"  # type: ignore[attr-defined]
    engine = ScriptedEngine('{"actions": [{"type": "mesage"', message("teh end"))
    async with running_app(engine=engine, plugins=[first, second]) as kit:
        assert await kit.interface.ask("hello") == ["the end"]
        assert [request.temperature for request in engine.requests] == [0.1, 0.2]
        assert answered == ['{"actions": [{"type": "mesage"', message("teh end")]
        recorded = await kit.rows("SELECT text FROM replies ORDER BY attempt")
        assert [row["text"] for row in recorded] == answered, "the raw replies are what is recorded"


async def test_before_action_blocks_with_its_reason() -> None:
    def guard(turn: TurnContext, action: ActionEnvelope) -> Block | None:
        return Block("It is late.") if action.type == "press" else None

    workshop = Workshop()
    engine = ScriptedEngine(("press", {"button": "a"}), message("It is late."))
    async with running_app(engine=engine, plugins=[workshop, plugin("before_action", guard)]) as kit:
        assert await kit.interface.ask("press") == ["It is late."]
        assert workshop.done == []
        row = await outcome(kit, "press")
        assert (row["status"], row["reason"]) == ("denied", "It is late.")


async def test_a_guard_that_raises_blocks() -> None:
    def broken(turn: TurnContext, action: ActionEnvelope) -> None:
        raise RuntimeError("out of order")

    workshop = Workshop()
    async with running_app(
        engine=ScriptedEngine(("press", {"button": "a"}), otherwise=SILENCE),
        plugins=[workshop, plugin("before_action", broken)],
    ) as kit:
        await kit.interface.ask("press")
        assert workshop.done == []
        assert "out of order" in (await outcome(kit, "press"))["reason"]


async def test_after_action_changes_what_the_model_sees_and_not_the_ledger() -> None:
    def rewrite(turn: TurnContext, action: ActionEnvelope, seen: Outcome) -> Outcome:
        return dataclasses.replace(seen, output="(rewritten)", reason="softened")

    reply = actions(("look", {"at": "sky"}), ("crash", {}))
    async with running_app(
        engine=ScriptedEngine(reply, SILENCE), plugins=[Workshop(), plugin("after_action", rewrite)]
    ) as kit:
        await kit.interface.ask("look")
        shown = kit.engine.last.messages[-1].content
        assert "(rewritten)" in shown
        assert "sky is blue" not in shown
        assert "softened" in shown, "it runs for failed actions too"
        assert (await outcome(kit, "look"))["output"] == '"sky is blue"'
        assert "a bug" in (await outcome(kit, "crash"))["reason"]


async def test_before_delivery_sees_every_message_once_and_may_block_it() -> None:
    seen: list[str] = []

    def sign(turn: TurnContext, delivery: Delivery) -> Delivery | Block:
        seen.append(delivery.text)
        if "secret" in delivery.text:
            return Block("That stays here.")
        return dataclasses.replace(delivery, text=delivery.text + " -R")

    engine = ScriptedEngine(
        actions(("message", {"text": "hello"}), ("message", {"text": "a secret"})), message("never mind")
    )
    async with running_app(engine=engine, plugins=[plugin("before_delivery", sign)]) as kit:
        assert await kit.interface.ask("talk") == ["hello -R", "never mind -R"]
        assert seen == ["hello", "a secret", "never mind"]
        assert [status for _, status in await statuses(kit)] == ["done", "failed", "done"]
        assert "That stays here." in engine.last.messages[-1].content
        assert await kit.interface.ask("/nonsense") == ["There is no command /nonsense. /help lists all. -R"]


async def test_one_broken_hook_leaves_the_turn_as_it_was() -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("no")

    chains = [name for name in HOOKS if name not in ("before_action",)]
    plugins: list[object] = [Workshop()]
    for name in chains:
        one = plugin(name, broken)
        one.name = f"broken_{name}"  # type: ignore[attr-defined]
        plugins.append(one)
    engine = ScriptedEngine(("look", {"at": "sky"}), message("blue"))
    async with running_app(engine=engine, plugins=plugins) as kit:
        assert await kit.interface.ask("look") == ["blue"]
        assert_all_ran(kit)


def assert_all_ran(kit: RunningApp) -> None:
    assert kit.engine.requests[0].messages[-1].content == "look"
    assert set(HOOKS) == SEEN, "every hook has a test here"
