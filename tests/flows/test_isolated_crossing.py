"""Events, other plugins, the model, conversations, jobs and slots: the same from a process of its own as inside."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from inspect import isawaitable
from pathlib import Path
from typing import Any

from core.contracts.events import EventEnd
from core.contracts.json import Json
from core.contracts.slots import Gauge
from core.isolation.standin import IsolatedPlugin
from core.registry.component import ComponentState, Stage
from core.services.budgets import record_ask
from core.settings import ComponentTable
from core.settings.budgets import BudgetSettings
from core.testing import RunningApp, ScriptedEngine, actions, message, running_app
from tests.flows.records import outcome, statuses
from tests.support.crossing_plugin import Crosser, Neighbour
from tests.support.isolated_plugins import alive, place, processes_of, standin, until


@asynccontextmanager
async def running(isolation: str, **settings: Any) -> AsyncIterator[tuple[RunningApp, Neighbour]]:
    """Run the two plugins, the one that crosses either way."""
    neighbour = Neighbour()
    table = settings.pop("table", ComponentTable())
    components = {"plugins": {"crosser": replace(table, isolation=isolation)}}
    engine = ScriptedEngine(otherwise=message("four"))
    plugins = [Crosser, neighbour]
    async with running_app(engine=engine, plugins=plugins, components=components, access="open", **settings) as kit:
        component = kit.app.registry.get("plugin", "crosser")
        assert component is not None
        assert component.state is ComponentState.ACTIVE, component.reason
        assert isinstance(component.instance, IsolatedPlugin) is (isolation == "process")
        yield kit, neighbour


async def did(kit: RunningApp, what: str, user_id: str = "") -> Json:
    """Have the plugin do something in a turn; return what it returned."""
    acted = await kit.act("do", {"what": what}, user_id=user_id)
    assert acted.status == "done", acted.reason
    return acted.output


async def heard(kit: RunningApp, count: int) -> list[Json]:
    """Wait until the plugin has heard so much; return it."""
    for _ in range(500):
        await kit.app.events.settled()
        found: list[Json] = await did(kit, "tell_heard")
        if len(found) >= count:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(found)


async def all_of(isolation: str) -> dict[str, Json]:
    """Return everything that is seen of the plugin that crosses."""
    seen: dict[str, Json] = {}
    async with running(isolation) as (kit, neighbour):
        for what in ("emit", "ask", "circle", "subscribe"):
            seen[what] = await did(kit, what)
        seen["model"] = await did(kit, "model", "bea")
        (asked,) = [request for request in kit.engine.requests if request.instructions == "Add."]
        seen["asked"] = [[(m.content, m.source) for m in asked.messages], asked.max_output_tokens]
        for user_id in ("", "anna"):
            seen[f"call for {user_id}"] = await did(kit, "call", user_id)
        assert seen["call for "][-2] == ["outside", False, True], "what it called has read the outside"
        seen["ledger"] = await statuses(kit)
        sent = await kit.rows("SELECT text, tainted FROM messages WHERE text LIKE 'what was read%' ORDER BY id")
        seen["sent"] = [(row["text"], bool(row["tainted"])) for row in sent]
        seen["asks"] = await kit.rows("SELECT principal, plugin, engine FROM asks")
        heard_so_far = await did(kit, "tell_heard")
        seen["again"], before = heard_so_far[-1], len(heard_so_far)
        await did(kit, "afterwards")
        await did(kit, "go_on")
        seen["afterwards"] = (await heard(kit, before + 2))[before:]
        assert [e.source for e in neighbour.heard] == ["crosser"]
        seen["begin"] = await did(kit, "begin")
        jobs = (await heard(kit, before + 5))[before + 2 :]
        seen["jobs"] = sorted(jobs, key=str)
        seen["messages"] = await did(kit, "messages")
        assert "shown" in [sent.text for sent in kit.interface.sent]
        await kit.interface.ask("what is @crossing?")
        seen["prompt"] = sorted(
            m.content for m in kit.engine.last.messages if "noted" in m.content or "of test" in m.content
        )
        seen["said"] = [one for one in await heard(kit, before + 7) if one[0] in ("user", "assistant")][:2]
        status = (await kit.interface.ask("/status"))[0]
        seen["status"] = [line for line in status.splitlines() if "heard" in line]
        seen["help"] = [line for line in (await kit.interface.ask("/help"))[0].splitlines() if "@crossing" in line]
        (gauge,) = [g for plugin, g in kit.app.host.slots.of("metrics", Gauge) if plugin == "crosser"]
        read = gauge.read()
        assert (await read if isawaitable(read) else read) > 0
        kit.engine.then(message("```crossed\nrendered\n```"))
        seen["rendered"] = await kit.interface.ask("show a block")
        assert seen["rendered"] == ["rendered for test:trainer"]
        seen["sidecar"] = await did(kit, "serve")
        left = await did(kit, "left_pid")
        assert alive(left)
        await kit.interface.ask("/strategy one_step")
        kit.engine.then(("greet", {"who": "Cleo"}))
        seen["strategy"] = await kit.interface.ask("greet Cleo")
        seen["engine"] = kit.engine.last.messages[-1].content
    await until(lambda: not alive(left), "the sidecar to end with its plugin")
    return seen


async def test_everything_is_the_same_inside_and_outside() -> None:
    inside = await all_of("none")
    outside = await all_of("process")
    for what, seen in inside.items():
        assert outside[what] == seen, what
    assert inside["model"][1:3] == [False, True], "a question that holds text from outside taints who asks"
    assert inside["again"][0] == "EngineRefused", "a hook that looks at a call asks no engine itself"
    assert inside["circle"][0] == EventEnd.HANDLED
    assert [16, EventEnd.REJECTED] in inside["circle"][2]


async def test_what_an_action_calls_ends_with_the_process_and_is_written_down_before_it() -> None:
    async with running("process") as (kit, neighbour):
        kit.engine.then(("do", {"what": "call_for_long"}))
        said = await kit.interface.say("go")
        await asyncio.wait_for(neighbour.held.wait(), 20)
        os.kill(processes_of(standin(kit, "crosser"))[-1], signal.SIGKILL)
        await kit.interface.ended(said)
        assert neighbour.ended.is_set()
        assert await statuses(kit) == [("do", "unknown"), ("hold", "unknown"), ("message", "done")]
        assert "signal 9" in (await outcome(kit, "do"))["reason"]


async def test_what_an_action_calls_ends_with_its_deadline() -> None:
    async with running("process") as (kit, neighbour):
        kit.engine.then(("do_shortly", {}))
        await kit.interface.ended(await kit.interface.say("go"))
        assert neighbour.ended.is_set()
        assert await statuses(kit) == [("do_shortly", "unknown"), ("hold", "unknown"), ("message", "done")]
        assert kit.app.registry.is_in_use("plugin", "crosser"), "its process has ended the call, and lives"
        assert await did(kit, "ask") is not None


async def test_a_job_fails_with_the_process_and_what_start_did_is_done_again() -> None:
    async with running("process") as (kit, _):
        await did(kit, "begin_forever")
        await did(kit, "subscribe_for_long")
        os.kill(processes_of(standin(kit, "crosser"))[-1], signal.SIGKILL)
        await until(lambda: not kit.app.registry.is_in_use("plugin", "crosser"), "the plugin to be degraded")
        await until(lambda: bool(kit.app.events.history.listing(name="job.ended")), "the end of the job")
        (ended,) = [one.event.data for one in kit.app.events.history.listing() if one.event.name == "job.ended"]
        assert (ended["name"], ended["state"]) == ("endless", "failed")
        assert "signal 9" in ended["error"]
        assert await kit.app.events.emit("test", "bell.rang", {}, 5) is not None
        await kit.advance(1.1)
        await until(lambda: kit.app.registry.is_in_use("plugin", "crosser"), "the plugin to work again")
        told = await kit.app.events.emit("test", "bell.rang", {}, 5)
        assert told.runs == (), "what was subscribed has ended with the process"
        status = (await kit.interface.ask("/status"))[0]
        assert status.count("0 heard") == 1


async def test_a_question_counts_in_the_budget_of_whoever_asked() -> None:
    budgets = BudgetSettings.model_validate({"guest": {"engine_tokens_per_day": 1}})
    async with running("process", budgets=budgets) as (kit, _):
        assert await did(kit, "ask_for_zoe") == actions()

        def use_up(conn: Any) -> None:
            record_ask(conn, "test:zoe", "other", "e", 1, kit.clock.now_ms())

        await kit.app.database.transact(use_up)
        assert "test:zoe has used the 1 tokens" in await did(kit, "ask_for_zoe")


async def test_objects_stay_outside_and_say_so() -> None:
    async with running("process") as (kit, _):
        acted = await kit.act("do", {"what": "require"})
        assert acted.status == "failed"
        assert "self.context.services.require cannot be reached" in acted.reason
        assert "call_plugin" in acted.reason


async def test_too_many_calls_at_once_fail_and_break_nothing() -> None:
    async with running("process") as (kit, _):
        refused = await did(kit, "flood")
        assert refused == ["RekkuError"]
        assert await did(kit, "ask") is not None


async def test_the_operator_may_change_the_handlers() -> None:
    events = {"light.asked": {"enabled": False}, "polite": {"when": "regex: ^never"}}
    async with running("process", table=ComponentTable(events=events)) as (kit, _):
        assert (await did(kit, "ask"))[0] == "dark"
        assert (await did(kit, "emit"))[2] == []
    wrong = {"plugins": {"crosser": ComponentTable(isolation="process", events={"nobody": {"enabled": False}})}}
    async with running_app(plugins=[Crosser, Neighbour()], components=wrong) as kit:
        component = kit.app.registry.get("plugin", "crosser")
        assert component is not None
        assert component.stage is Stage.CONFIGURATION
        assert "has no handler of that pattern or name" in component.reason


async def test_contexts_of_calls_are_let_go() -> None:
    async with running("process") as (kit, _):
        for _round in range(30):
            await did(kit, "ask")
        child = standin(kit, "crosser")._child
        assert child is not None
        await child.call("ping")
        await child.call("ping")
        assert len(child.peer._situations._ended) < 15


CHANGING = """
from core.ai_plugin_base import AIPluginBase, on


class Changing(AIPluginBase):
    isolation = "process"

    @on("bell.rang")
    async def hear(self, event):
        return "heard"


PLUGIN_CLASS = Changing
"""


async def test_other_handlers_than_before_are_not_called_in_the_places_of_those(tmp_path: Path) -> None:
    async with running_app(home=place(tmp_path, changing=CHANGING)) as kit:
        assert await kit.app.events.request("test", "bell.rang", {}, 5) == "heard"
        another = '    @on("door.opened")\n    async def open(self, event):\n        return "opened"\n\n'
        place(tmp_path, changing=CHANGING.replace('    @on("bell', f'{another}    @on("bell'))
        os.kill(processes_of(standin(kit, "changing"))[-1], signal.SIGKILL)
        component = kit.app.registry.get("plugin", "changing")
        assert component is not None
        await until(lambda: component.state is ComponentState.DEGRADED, "the plugin to be degraded")
        await kit.advance(1.1)
        await until(lambda: "declares other hooks or handlers" in component.reason, "it to stay out")
        assert await kit.app.events.request("test", "bell.rang", {}, 5) is None
