"""The basics of a turn: what is answered, fed back, skipped and not done twice."""

from __future__ import annotations

from core.testing import ScriptedEngine, actions, message, running_app
from tests.flows.records import SILENCE, statuses, turns
from tests.flows.workshop import Workshop


async def test_a_message_is_answered_and_its_turn_recorded() -> None:
    async with running_app(engine=ScriptedEngine(message("Hello."))) as kit:
        assert await kit.interface.ask("hi") == ["Hello."]
        assert await turns(kit) == [{"state": "complete", "reason": "", "steps": 1}]
        assert (await kit.rows("SELECT text FROM replies")) == [{"text": message("Hello.")}]
        assert [m.content for m in kit.engine.last.messages][-1] == "hi"
        assert kit.interface.ends[0].result == "complete"


async def test_plain_text_is_a_message() -> None:
    async with running_app(engine=ScriptedEngine("Just **words**.")) as kit:
        assert await kit.interface.ask("hi") == ["Just **words**."]
        assert await statuses(kit) == [("message", "done")]


async def test_no_actions_end_the_turn_silently() -> None:
    async with running_app(engine=ScriptedEngine(SILENCE)) as kit:
        assert await kit.interface.ask("hush") == []
        assert (await turns(kit))[0]["state"] == "complete"
        assert len(kit.engine.requests) == 1


async def test_the_output_of_an_action_is_fed_back() -> None:
    engine = ScriptedEngine(("look", {"at": "sky"}), message("The sky is blue."))
    async with running_app(engine=engine, plugins=[Workshop()]) as kit:
        assert await kit.interface.ask("what colour is the sky?") == ["The sky is blue."]
        asked, outcomes = engine.last.messages[-2:]
        assert asked.role == "assistant"
        assert '"type":"look"' in asked.content
        assert '{"action":"look","status":"done","output":"sky is blue"}' in outcomes.content


async def test_several_actions_run_in_order_and_their_outputs_come_together() -> None:
    workshop = Workshop()
    engine = ScriptedEngine(actions(("press", {"button": "a"}), ("look", {"at": "b"})), message("Both."))
    async with running_app(engine=engine, plugins=[workshop]) as kit:
        assert await kit.interface.ask("do both") == ["Both."]
        assert workshop.done == ["press a", "look b"]
        assert "a pressed" in engine.last.messages[-1].content
        assert "b is blue" in engine.last.messages[-1].content


async def test_a_message_behind_an_output_that_was_not_seen_is_skipped_and_reported() -> None:
    engine = ScriptedEngine(
        actions(("look", {"at": "sky"}), ("message", {"text": "It is green."})), message("It is blue.")
    )
    async with running_app(engine=engine, plugins=[Workshop()]) as kit:
        assert await kit.interface.ask("the sky?") == ["It is blue."]
        assert ("message", "skipped") in await statuses(kit)
        assert "you had not seen the output of look" in engine.last.messages[-1].content


async def test_what_stands_behind_a_failure_is_skipped() -> None:
    workshop = Workshop()
    engine = ScriptedEngine(
        actions(("message", {"text": "I try."}), ("refuse", {}), ("ring", {}), ("message", {"text": "Done!"})),
        message("The door is locked."),
    )
    async with running_app(engine=engine, plugins=[workshop]) as kit:
        assert await kit.interface.ask("ring") == ["I try.", "The door is locked."]
        assert workshop.done == []
        assert [status for _, status in await statuses(kit)] == ["done", "failed", "skipped", "skipped", "done"]
        assert "Bring the key." in engine.last.messages[-1].content
        (end,) = kit.interface.ends
        assert (end.result, end.not_done) == ("complete", ("refuse",))


async def test_what_was_done_at_the_second_try_was_done() -> None:
    engine = ScriptedEngine(
        actions(("press", {"button": "no"})), actions(("press", {"button": "a"})), message("Pressed.")
    )
    rule = {"verdict": "deny", "action": "press", "arguments": {"button": "no"}}
    async with running_app(engine=engine, plugins=[Workshop()], policy_rules=(rule,)) as kit:
        assert await kit.interface.ask("press") == ["Pressed."]
        assert [status for _, status in await statuses(kit)] == ["denied", "done", "done"]
        assert [end.not_done for end in kit.interface.ends] == [()]


async def test_the_same_action_is_not_done_twice_in_a_turn() -> None:
    workshop = Workshop()
    again = actions(("press", {"button": "a"}))
    async with running_app(engine=ScriptedEngine(again, again, message("Pressed.")), plugins=[workshop]) as kit:
        assert await kit.interface.ask("press a") == ["Pressed."]
        assert workshop.done == ["press a"]
        assert "a pressed" in kit.engine.last.messages[-1].content
        assert await kit.interface.ask("again?") != [], "the next turn may do it again"


async def test_reads_may_be_repeated_in_a_turn() -> None:
    workshop = Workshop()
    again = ("look", {"at": "sky"})
    async with running_app(engine=ScriptedEngine(again, again, SILENCE), plugins=[workshop]) as kit:
        await kit.interface.ask("look twice")
        assert workshop.done == ["look sky", "look sky"]


async def test_a_model_in_a_loop_is_stopped_with_a_sentence() -> None:
    engine = ScriptedEngine(otherwise=("look", {"at": "sky"}))
    async with running_app(engine=engine, plugins=[Workshop()], max_steps=3) as kit:
        (sentence,) = await kit.interface.ask("go")
        assert sentence.startswith("I stopped after 3 steps")
        assert len(engine.requests) == 3
        assert (await turns(kit))[0]["state"] == "error"
        assert kit.interface.ends[0].result == "error"


async def test_more_actions_than_a_reply_may_hold_are_refused() -> None:
    workshop = Workshop()
    too_many = actions(*(("press", {"button": str(n)}) for n in range(17)))
    async with running_app(engine=ScriptedEngine(too_many, message("Too many.")), plugins=[workshop]) as kit:
        assert await kit.interface.ask("press all") == ["Too many."]
        assert workshop.done == []
