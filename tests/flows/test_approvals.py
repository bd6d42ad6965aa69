"""Approvals: who is asked, what they may answer, and that it is worth one exact action, once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from core.contracts.errors import StorageUnavailable
from core.contracts.inputs import Quoted, Role
from core.services import approvals
from core.testing import FakeClock, RecordingInterface, RunningApp, ScriptedEngine, actions, message, running_app
from core.testing.engine import Answer
from core.turn.dispatch import RETRY_AFTER_S
from core.turn.housekeeping import expire_approvals
from tests.flows.records import SILENCE, outcome, statuses, turns
from tests.flows.workshop import Workshop

ASK = ({"verdict": "ask", "action": "press"},)
PRESS = ("press", {"button": "a"})


@asynccontextmanager
async def asking_app(
    *answers: Answer, workshop: Workshop | None = None, strangers: Role = Role.USER, **settings: Any
) -> AsyncIterator[tuple[RunningApp, Workshop]]:
    """Run an app in which `press` has to be approved, by `trainer` or `boss`."""
    workshop = workshop or Workshop()
    given = {"trainer_ids": frozenset({"test:trainer", "test:boss"}), "policy_rules": ASK, **settings}
    async with running_app(
        engine=ScriptedEngine(*answers, otherwise=SILENCE), plugins=[workshop], access="open", **given
    ) as kit:
        kit.app.env.people._strangers = strangers
        yield kit, workshop


async def waiting_id(kit: RunningApp) -> str:
    (row,) = await kit.rows("SELECT id FROM approvals WHERE state = 'waiting'")
    return str(row["id"])


async def continued(kit: RunningApp, ends: int) -> None:
    """Wait until so many turns (commands and continuations included) have ended."""
    await kit.interface.until(lambda: len(kit.interface.ends) >= ends, f"{ends} ends")


async def test_what_decides_an_approval_needs_none_though_a_rule_asks_about_everything() -> None:
    everything: tuple[Any, ...] = ({"verdict": "ask", "action": "*"},)
    async with asking_app(PRESS, policy_rules=everything) as (kit, workshop):
        await kit.interface.ask("press a")
        await kit.interface.say(f"/approve {await waiting_id(kit)}")
        await continued(kit, 3)
        assert workshop.done == ["press a"]
    denied: tuple[Any, ...] = (*everything, {"verdict": "deny", "action": "core_approve"})
    async with asking_app(PRESS, policy_rules=denied) as (kit, workshop):
        await kit.interface.ask("press a")
        (said,) = await kit.interface.ask(f"/approve {await waiting_id(kit)}")
        assert "forbids it" in said
        assert workshop.done == []


async def test_a_trainer_is_asked_where_they_asked_and_the_turn_goes_on_after_yes() -> None:
    async with asking_app(PRESS, message("Pressed.")) as (kit, workshop):
        (question,) = await kit.interface.ask("press a", chat_id="room")
        assert "`press`" in question
        assert '"button": "a"' in question
        assert workshop.done == []
        (end,) = kit.interface.ends
        assert (end.result, end.approval_ids) == ("awaiting_approval", (await waiting_id(kit),))
        assert (await turns(kit))[0]["state"] == "awaiting_approval"

        once, rest, no = kit.interface.buttons("room")
        assert [once.label, rest.label, no.label] == ["Once", "Rest of this turn", "No"]
        await kit.interface.press(once, chat_id="room")
        assert await kit.interface.replies(2, chat_id="room") == ["Approved: press.", "Pressed."]
        assert workshop.done == ["press a"]
        assert await statuses(kit) == [
            ("press", "awaiting_approval"),
            ("press", "done"),
            ("message", "done"),
            ("core_approve", "done"),
        ]
        assert (await turns(kit))[0] == {"state": "complete", "reason": "", "steps": 3}


async def test_a_users_action_is_put_to_every_trainer_in_private_and_its_asker_is_told() -> None:
    async with asking_app(PRESS, message("Pressed.")) as (kit, workshop):
        (told,) = await kit.interface.ask("press a", user_id="ann", chat_id="room")
        assert "press" in told
        assert "approv" in told
        approval = await waiting_id(kit)
        assert approval not in told
        for trainer in ("trainer", "boss"):
            (question,) = kit.interface.texts(trainer)
            assert "asked by test:ann in test:room" in question
            assert approval in question
        await kit.interface.say(f"/approve {approval}", user_id="boss")
        assert await kit.interface.replies(chat_id="room") == ["Pressed."]
        assert workshop.done == ["press a"]
        assert (await outcome(kit, "press"))["principal"] == "test:ann"


@pytest.mark.parametrize(("scope", "second"), [("once", "awaiting_approval"), ("turn", "done")])
async def test_once_is_for_once_and_turn_for_the_rest_of_the_turn(scope: str, second: str) -> None:
    async with asking_app(PRESS, ("press", {"button": "b"})) as (kit, workshop):
        await kit.interface.ask("press a and b")
        await kit.interface.say(f"/approve {await waiting_id(kit)} {scope}")
        await continued(kit, 3)
        assert (await outcome(kit, "press"))["status"] == second
        assert workshop.done == (["press a", "press b"] if scope == "turn" else ["press a"])
        kit.engine.then(("press", {"button": "c"}))
        await kit.interface.ask("and c")
        assert (await outcome(kit, "press"))["status"] == "awaiting_approval", "the next turn asks anew"


async def test_a_yes_for_the_turn_that_was_given_while_clean_does_not_answer_what_taint_asks() -> None:
    wipes = [("wipe", {"path": path}) for path in "abc"]
    rules = ({"verdict": "ask", "action": "wipe"},)
    async with asking_app(*wipes, policy_rules=rules) as (kit, workshop):
        await kit.interface.ask("wipe them all")
        assert "from outside" not in kit.interface.texts()[-1]
        await kit.interface.say(f"/approve {await waiting_id(kit)} turn")
        await continued(kit, 3)
        assert workshop.done == ["wipe a"]
        assert "from outside" in kit.interface.texts()[-1], "what the first one printed taints the second"
        await kit.interface.say(f"/approve {await waiting_id(kit)} turn")
        await continued(kit, 5)
        assert workshop.done == ["wipe a", "wipe b", "wipe c"], "given while tainted it holds for the rest"


@pytest.mark.parametrize("action", ["wipe", "press"])
async def test_a_yes_by_one_rule_is_none_to_what_taint_or_another_rule_asks(action: str) -> None:
    rules = ({"verdict": "ask", "action": action}, {"verdict": "ask", "action": "press", "tainted": True})
    field = {"wipe": "path", "press": "button"}[action]
    async with asking_app(*((action, {field: each}) for each in "ab"), policy_rules=rules) as (kit, workshop):
        await kit.interface.ask("do both")
        await kit.interface.say(f"/approve {await waiting_id(kit)} turn")
        await continued(kit, 3)
        assert workshop.done == [f"{action} a"]


async def test_a_yes_for_the_turn_is_a_yes_for_the_place_that_was_asked_about() -> None:
    def to(chat: str, text: str) -> tuple[str, dict[str, str]]:
        return ("message", {"text": text, "to": f"test:{chat}"})

    foreign, look = Quoted(relation="forward", author="Mallory", text="Tell them!"), ("look", {"at": "it"})
    answers = actions(to("ann", "one"), look), actions(to("ann", "two"), look), to("mallory", "three")
    async with asking_app(*answers) as (kit, _):
        await kit.interface.ask("tell ann", quoted=(foreign,))
        await kit.interface.say(f"/approve {await waiting_id(kit)} turn")
        await continued(kit, 3)
        assert kit.interface.texts("ann") == ["one", "two"]
        assert kit.interface.texts("mallory") == []
        assert (await outcome(kit, "message"))["status"] == "awaiting_approval"


async def test_no_means_not_done_and_the_asker_and_the_model_hear_of_it() -> None:
    async with asking_app(PRESS) as (kit, workshop):
        await kit.interface.ask("press a", user_id="ann", chat_id="room")
        await kit.interface.ask(f"/deny {await waiting_id(kit)}", user_id="boss")
        assert any("denied" in text for text in kit.interface.texts("room"))
        assert workshop.done == []
        assert (await outcome(kit, "press"))["status"] == "denied"
        assert (await turns(kit))[0]["state"] != "awaiting_approval"
        await kit.interface.ask("well?", user_id="ann", chat_id="room")
        assert any("denied" in m.content for m in kit.engine.last.messages)


async def test_an_approval_expires_and_its_asker_is_told() -> None:
    async with asking_app(PRESS) as (kit, workshop):
        await kit.interface.ask("press a")
        approval = await waiting_id(kit)
        await kit.advance(15 * 60 + 1)
        (late,) = await kit.interface.ask(f"/approve {approval}")
        assert "expired" in late
        await expire_approvals(kit.app.env)
        (told,) = await kit.interface.replies()
        assert "has expired" in told
        assert workshop.done == []
        assert (await outcome(kit, "press"))["status"] == "denied"
        assert (await turns(kit))[0]["state"] != "awaiting_approval"


@pytest.mark.parametrize("who", ["boss", "ann"])
async def test_only_who_was_asked_can_answer(who: str) -> None:
    async with asking_app(PRESS) as (kit, workshop):
        await kit.interface.ask("press a")
        approval = await waiting_id(kit)
        for command in (f"/approve {approval}", f"/deny {approval}"):
            (no,) = await kit.interface.ask(command, user_id=who)
            assert "Not done" in no
        assert await waiting_id(kit) == approval
        assert workshop.done == []


async def test_an_approval_works_once() -> None:
    async with asking_app(PRESS) as (kit, workshop):
        await kit.interface.ask("press a")
        approval = await waiting_id(kit)
        await kit.interface.say(f"/approve {approval}")
        await continued(kit, 3)
        for command in (f"/approve {approval}", f"/deny {approval}"):
            assert "not waiting any more: it is used" in (await kit.interface.ask(command))[-1]
        assert workshop.done == ["press a"]


async def test_an_unknown_id_is_told() -> None:
    async with asking_app() as (kit, _):
        assert "There is no approval nonsense" in (await kit.interface.ask("/approve nonsense"))[0]


async def test_with_no_trainer_it_is_denied() -> None:
    async with asking_app(PRESS, trainer_ids=frozenset()) as (kit, workshop):
        await kit.interface.ask("press a", user_id="ann")
        row = await outcome(kit, "press")
        assert row["status"] == "denied"
        assert "No trainer can be asked" in row["reason"]
        assert workshop.done == []


async def test_an_approval_survives_a_restart(tmp_path: Path) -> None:
    async with asking_app(PRESS, home=tmp_path) as (kit, _):
        await kit.interface.ask("press a")
        approval = await waiting_id(kit)
    async with asking_app(message("Pressed."), home=tmp_path) as (kit, workshop):
        await kit.interface.say(f"/approve {approval}")
        assert await kit.interface.replies(2) == ["Approved: press.", "Pressed."]
        assert workshop.done == ["press a"]


async def test_an_edited_payload_is_not_what_was_approved() -> None:
    async with asking_app(PRESS) as (kit, workshop):
        await kit.interface.ask("press a")
        edited = text("UPDATE approvals SET payload = :payload")
        await kit.app.database.transact(
            lambda conn: conn.execute(edited, {"payload": json.dumps({"button": "nuke"})}).rowcount
        )
        await kit.interface.say(f"/approve {await waiting_id(kit)}")
        await continued(kit, 3)
        assert workshop.done == []


async def test_the_continuation_has_the_rights_that_its_principal_has_then() -> None:
    async with asking_app(PRESS) as (kit, workshop):
        await kit.interface.ask("press a", user_id="ann")
        kit.app.env.people._strangers = Role.BLOCKED
        await kit.interface.say(f"/approve {await waiting_id(kit)}")
        await continued(kit, 3)
        assert workshop.done == []


async def test_rules_are_asked_again_after_yes() -> None:
    rules = (*ASK, {"verdict": "deny", "action": "press", "arguments": {"button": "b"}})
    async with asking_app(actions(PRESS), ("press", {"button": "b"}), policy_rules=rules) as (kit, workshop):
        await kit.interface.ask("press a")
        await kit.interface.say(f"/approve {await waiting_id(kit)} turn")
        await continued(kit, 3)
        assert workshop.done == ["press a"]
        assert (await outcome(kit, "press"))["status"] == "denied"


async def test_what_stood_behind_the_question_is_told_to_the_model_as_skipped() -> None:
    async with asking_app(actions(PRESS, ("ring", {})), message("Pressed, not rung.")) as (kit, workshop):
        await kit.interface.ask("press and ring")
        await kit.interface.say(f"/approve {await waiting_id(kit)}")
        assert "Pressed, not rung." in await kit.interface.replies(2)
        assert workshop.done == ["press a"]
        assert '"action":"ring","status":"skipped"' in "".join(m.content for m in kit.engine.last.messages)


async def test_a_typed_command_can_wait_for_approval_too() -> None:
    async with asking_app() as (kit, workshop):
        (question,) = await kit.interface.ask("/press a")
        approval = re.findall(r"/approve (\w+)", question)[0]
        await kit.interface.say(f"/approve {approval}")
        assert "a pressed" in await kit.interface.replies(2)
        assert workshop.done == ["press a"]


async def test_an_answer_passes_a_busy_lane_by() -> None:
    workshop = Workshop()
    async with asking_app(PRESS, ("wait", {}), workshop=workshop) as (kit, _):
        await kit.interface.ask("press a")
        await kit.interface.say("now wait")
        await workshop.waiting.wait()
        assert await kit.interface.ask(f"/approve {await waiting_id(kit)}") == ["Approved: press."]
        workshop.gate.set()
        await continued(kit, 4)
        assert workshop.done == ["wait", "press a"]


async def test_a_question_that_no_trainer_can_be_sent_is_a_no() -> None:
    class Deaf(RecordingInterface):
        def render(self, delivery: Any) -> Any:
            if delivery.buttons:
                raise ValueError("no buttons here")
            return super().render(delivery)

    async with asking_app(PRESS, interface=Deaf(), clock=FakeClock()) as (kit, workshop):
        await kit.interface.ask("press a")
        assert (await outcome(kit, "press"))["status"] == "denied"
        assert workshop.done == []


async def test_a_decision_that_the_database_cannot_take_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[bool] = []

    def away(*_: Any) -> None:
        gone.append(True)
        raise StorageUnavailable("It did not answer in time.")

    async with asking_app(PRESS, message("Pressed.")) as (kit, workshop):
        await kit.interface.ask("press a")
        approval = await waiting_id(kit)
        with monkeypatch.context() as patched:
            patched.setattr(approvals, "find", away)
            await kit.interface.say(f"/approve {approval}")
            await until(kit, lambda: len(gone) >= 2)  # once more when the database is tried again
        await until(kit, lambda: len(kit.interface.ends) >= 3)
        assert workshop.done == ["press a"]
        assert ("core_approve", "done") in await statuses(kit)


async def until(kit: RunningApp, true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
        await kit.advance(RETRY_AFTER_S / 10)
    raise AssertionError("it did not come to that")
