"""A recorded turn once more: without touching anything, and telling what comes out differently today."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, action
from core.commands.plugin_skeleton import how_to_test
from core.commands.replay import told_of
from core.contracts.errors import ActionFailed, EngineUnavailable
from core.contracts.json import JsonObject
from core.replay.comparison import Replay
from core.replay.recording import NoRecording, Recording, read_recording
from core.replay.replayed import replay_turn
from core.replay.written_test import written_test
from core.settings import Settings
from core.testing import RunningApp, ScriptedEngine, actions, message, running_app
from tests.flows.test_command_line import answer, rekku, written
from tests.flows.workshop import Workshop

NASTY = 'he said """stop""" and \\ then 😀 \'quietly\''


async def recorded(kit: RunningApp, turn: int = 1, role: str = "trainer") -> Recording:
    return await kit.app.database.read(lambda conn: read_recording(conn, turn, role))


def shown(replayed: Replay) -> list[str]:
    return [str(each) for each in replayed.differences()]


async def turn_that_touches() -> Recording:
    """Record a turn that presses a button, notes and reads, and answers."""
    engine = ScriptedEngine(
        actions(("press", {"button": "a"})),
        actions(("look", {"at": "sky"})),
        actions(("note", {"text": "pressed"}), ("message", {"text": "It is pressed."})),
    )
    async with running_app(engine=engine, plugins=[Workshop()]) as kit:
        await kit.interface.ask("press it")
        return await recorded(kit)


async def test_the_same_plugins_come_to_the_same_and_nothing_is_touched() -> None:
    recording = await turn_that_touches()
    assert [a.type for a in recording.actions] == ["press", "look", "note", "message"]
    workshop = Workshop()
    replayed = await replay_turn(recording, plugins=[workshop])
    assert shown(replayed) == []
    assert workshop.done == ["look sky"], "what only reads runs for real, what touches the world does not"


async def test_a_plugin_that_answers_otherwise_is_shown() -> None:
    class Colourful(Workshop):
        @action(effect="read", permission="anyone")
        async def look(self, at: str) -> str:
            """Look at something."""
            return f"{at} is green"

    (difference,) = shown(await replay_turn(await turn_that_touches(), plugins=[Colourful()]))
    assert "step 1, action 0" in difference
    assert "sky is blue" in difference
    assert "sky is green" in difference


class Thinker(AIPluginBase):
    """Asks the model by itself."""

    @action(effect="read", permission="user")
    async def think(self) -> str:
        """Think."""
        try:
            return (await self.context.engines.ask("two and two")).text
        except EngineUnavailable as error:
            return str(error)


async def test_what_a_plugin_asks_the_model_takes_none_of_the_replies_of_the_turn() -> None:
    engine = ScriptedEngine(actions(("think", {})), "four", message("It is four."))
    async with running_app(engine=engine, plugins=[Thinker()]) as kit:
        assert await kit.interface.ask("think") == ["It is four."]
        recording = await recorded(kit)
    replayed = await replay_turn(recording, plugins=[Thinker()])
    assert replayed.state == "complete"
    assert "It is four." in replayed.sent.values()
    assert "not recorded" in str(replayed.actions[0].output)


class Counting(AIPluginBase):
    """Gives another output each time, by nature, and calls the workshop in two ways."""

    count = 0

    @action(effect="read", permission="anyone", command="count")
    async def count_on(self) -> str:
        """Count."""
        Counting.count += 1
        return f"number {Counting.count}"

    @action(effect="external", permission="user")
    async def press_twice(self) -> str:
        """Press two buttons."""
        await self.context.services.call_plugin("workshop", "press", {"button": "a"})
        await self.context.services.call_plugin("workshop", "press", {"button": "b"})
        return "pressed"

    @action(effect="read", permission="user")
    async def look_there(self) -> str:
        """Look somewhere."""
        seen = await self.context.services.call_plugin("workshop", "look", {"at": "the sea"})
        return str(seen)


async def turn_of_counting(*replies: Any, said: str = "go on") -> Recording:
    engine = ScriptedEngine(*replies, message("That was it."))
    async with running_app(engine=engine, plugins=[Workshop(), Counting()]) as kit:
        await kit.interface.ask(said)
        return await recorded(kit)


async def test_what_actions_have_called_is_no_difference() -> None:
    recording = await turn_of_counting(actions(("press_twice", {})), actions(("look_there", {})))
    assert [a.position for a in recording.actions] == [0, 1000, 1001, 0, 1000, 0]
    workshop = Workshop()
    assert shown(await replay_turn(recording, plugins=[workshop, Counting()])) == []
    assert workshop.done == ["look the sea"]


async def test_a_called_action_that_came_out_otherwise_is_named_by_its_caller() -> None:
    class Blind(Workshop):
        @action(effect="read", permission="anyone")
        async def look(self, at: str) -> str:
            """See nothing."""
            raise ActionFailed("It is dark.")

    recording = await turn_of_counting(actions(("look_there", {})))
    found = shown(await replay_turn(recording, plugins=[Blind(), Counting()]))
    assert any(each.startswith("step 0, action 0, call 1\n") and "failed" in each for each in found), found


@pytest.mark.parametrize("said", ["go on", "/count"])
async def test_what_is_another_each_time_stands_apart(said: str) -> None:
    recording = await turn_of_counting(actions(("count_on", {})), said=said)
    replayed = await replay_turn(recording, plugins=[Workshop(), Counting()])
    assert replayed.differences(outputs=False) == []
    assert all(each.returned for each in replayed.differences()), "the message of a command says what it returned"
    heading = "What reading actions returned:\n\nstep 0, action 0\n  then: count_on {}: done → "
    assert told_of(replayed).startswith(heading)
    assert "What was done in turn 1 came out as it did then" in told_of(replayed)


async def test_another_message_is_no_output() -> None:
    recording = await turn_of_counting(actions(("count_on", {})))
    changed = replace(recording, sent=dict.fromkeys(recording.sent, "Something else."))
    replayed = await replay_turn(changed, plugins=[Workshop(), Counting()])
    assert [each.returned for each in replayed.differences()] == [True, False]
    assert "came out differently in 1 place" in told_of(replayed)


async def test_an_action_that_takes_other_fields_by_now_is_shown() -> None:
    class Stricter(AIPluginBase):
        @action(effect="external", permission="user")
        async def press(self, button: int) -> str:
            """Press a button by its number."""
            return "pressed"

    replayed = await replay_turn(await turn_that_touches(), plugins=[Stricter()])
    assert "button" in replayed.complaint
    assert "the reply was valid" in shown(replayed)[0]


async def test_a_plugin_that_is_gone_is_shown() -> None:
    replayed = await replay_turn(await turn_that_touches())
    assert "There is no action" in replayed.complaint


async def test_a_rule_that_denies_by_now_is_shown() -> None:
    recording = await turn_that_touches()
    rule: JsonObject = {"action": "press", "verdict": "deny"}
    settings = Settings(home=Path("/nonexistent"), policy_rules=(rule,))
    replayed = await replay_turn(recording, settings, plugins=[Workshop()])
    assert any("press" in each and "denied" in each for each in shown(replayed))


async def test_an_action_that_was_approved_is_approved_again() -> None:
    engine = ScriptedEngine(
        actions(("read_page", {"url": "u"})), actions(("wipe", {"path": "/x"})), message("Wiped.")
    )
    async with running_app(engine=engine, plugins=[Workshop()]) as kit:
        await kit.interface.ask("read, then wipe")
        rows = await kit.rows("SELECT id FROM approvals")
        await kit.interface.ask(f"/approve {rows[0]['id']}")
        await kit.app.drained()
        recording = await recorded(kit)
    assert [(a.type, a.status, a.approved) for a in recording.actions][1] == ("wipe", "awaiting_approval", "once")
    workshop = Workshop()
    replayed = await replay_turn(recording, plugins=[workshop])
    assert replayed.differences(outputs=False) == []
    assert workshop.done == []


@pytest.mark.parametrize("role", ["guest", "user"])
async def test_it_runs_with_the_role_of_whoever_asked(role: str) -> None:
    engine = ScriptedEngine(actions(("ring", {})), message("Rung."))
    async with running_app(engine=engine, plugins=[Workshop()], access="open") as kit:
        await kit.interface.ask("ring", user_id="ann")
        recording = await recorded(kit, role=role)
    assert recording.actions[0].status == "denied"
    replayed = await replay_turn(recording, plugins=[Workshop()])
    assert bool(replayed.differences(outputs=False)) == (role == "user"), "a user may ring"


async def test_only_turns_of_somebodys_words_can_be_run_again() -> None:
    async with running_app(engine=ScriptedEngine(otherwise=message("ok"))) as kit:
        await kit.interface.ask("hello")
        with pytest.raises(NoRecording, match="no turn 99"):
            await recorded(kit, 99)


async def test_the_written_test_runs_by_itself(tmp_path: Path) -> None:
    class Plain(AIPluginBase):
        @action(effect="read", permission="anyone")
        async def say_back(self, text: str) -> str:
            """Say it back."""
            return text

    engine = ScriptedEngine(actions(("roll_dice", {"sides": 6})), message(NASTY))
    async with running_app(engine=engine) as kit:
        await kit.interface.ask(NASTY)
        recording = await recorded(kit)
    assert Recording.from_json(json.loads(json.dumps(recording.as_json()))) == recording
    file = tmp_path / "test_recorded.py"
    file.write_text(written_test(recording, [tmp_path]), encoding="utf-8")
    ran = _pytest(file)
    assert ran.returncode == 0, ran.stdout
    file.write_text(written_test(recording, []).replace('"status": "done"', '"status": "failed"'), encoding="utf-8")
    assert _pytest(file).returncode == 1, "a test that could not fail would be none"


def _pytest(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=strict", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_on_the_command_line(tmp_path: Path) -> None:
    home = written(tmp_path / "home", {})
    answer(rekku(home, "chat", "--once", "/roll 6"))
    same = rekku(home, "replay", "1")
    assert "in turn 1 came out as it did" in same.stdout
    assert same.returncode == 0, "dice may fall otherwise"
    assert rekku(home, "replay", "7").returncode == 1
    test = tmp_path / "test_it.py"
    wrote = rekku(home, "replay", "1", "--pytest", str(test))
    assert wrote.returncode == 0
    assert how_to_test(test)[-1] in wrote.stdout
    assert rekku(home, "replay", "1", "--pytest", str(test)).returncode == 1, "nothing is overwritten"
    assert "replay_turn(RECORDING" in test.read_text()
    listed = answer(rekku(home, "ledger", "list", "--json"))
    assert len(listed) == 1, "nothing of it is kept"


def test_a_dry_run_shows_what_would_be_done_and_keeps_nothing(tmp_path: Path) -> None:
    home = written(tmp_path / "home", {})
    answer(rekku(home, "chat", "--once", "/roll 6"))
    lines = ["/remind stretch in 10 minutes", "/reminders", "/sh touch here"]
    dry = rekku(home, "chat", "--dry-run", stdin="\n".join(lines) + "\n")
    assert "stretch" in dry.stdout, "what stays in the database is done, on a copy"
    assert '(dry run) would be run: terminal_command {"command":"touch here"}' in dry.stdout
    assert answer(rekku(home, "reminders", "list", "--json")) == []
    assert len(answer(rekku(home, "ledger", "list", "--json"))) == 1
