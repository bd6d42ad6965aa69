"""Events in a real app: what the core tells, and that no handler can slow or break what it is told of."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.ai_plugin_base import AIPluginBase, Event, on
from core.commands import events
from core.commands.tree import command_line
from core.contracts.core_events import CORE_EVENTS
from core.contracts.errors import CannotDeliver
from core.contracts.events import EventEnd, HandlerEnd
from core.registry.components import ComponentState
from core.services.event_history import EventRecord
from core.settings import ComponentTable, EventSettings
from core.settings.watchdog import WatchdogSettings
from core.testing import RunningApp, ScriptedEngine, actions, message, running_app
from tests.flows.workshop import Workshop

SETS_REMINDER = ("create_reminder", {"text": "stretch", "when": "in 5 minutes"})


class Listener(AIPluginBase):
    """Hears everything. `heard`: what it was told, in order."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    @on("**")
    async def hear(self, event: Event) -> None:
        self.heard.append(event)

    def named(self, name: str) -> list[Event]:
        return [event for event in self.heard if event.name == name]


class Broken(AIPluginBase):
    """A handler of every kind that does not work, before the good ones. `gate`: what the clinging one waits for."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.hung = asyncio.Event()

    @on("turn.started", priority=1)
    async def raise_it(self, event: Event) -> None:
        raise ValueError("no\nsecond line")

    @on("turn.started", priority=2)
    def exit_it(self, event: Event) -> None:
        raise SystemExit(3)

    @on("turn.started", priority=3, timeout_s=0.02)
    async def hang(self, event: Event) -> None:
        self.hung.set()
        await asyncio.get_running_loop().create_future()

    @on("turn.started", priority=4, timeout_s=0.02)
    async def cling(self, event: Event) -> None:
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                continue

    @on("turn.started", priority=5, stage="filter")
    async def swell(self, event: Event) -> dict[str, Any]:
        return {"text": "x" * 100_000}

    @on("turn.started", priority=6, stage="validate")
    async def mistake(self, event: Event) -> str:
        return "fine"

    @on("turn.started", priority=7)
    async def spoil(self, event: Event) -> None:
        event.data.clear()

    @on("turn.started", priority=8, when=lambda event: 1 / 0 > 0)
    async def never(self, event: Event) -> None: ...


class Slow(AIPluginBase):
    """Holds every event until its gate opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    @on("**", timeout_s=60)
    async def hold(self, event: Event) -> None:
        await self.gate.wait()


async def told(kit: RunningApp, **asked: str) -> list[EventRecord]:
    """Return the history, the oldest first, once everybody has been told."""
    await kit.app.events.settled()
    return kit.app.events.history.listing(**asked)[::-1]


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true that other tasks bring about; raises TimeoutError."""
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def test_everything_that_the_core_emits_is_emitted_with_the_fields_it_promises() -> None:
    listener = Listener()
    engine = ScriptedEngine(actions(("press", {"button": "blue"})), message("pressed"), SETS_REMINDER, message("ok"))
    async with running_app(plugins=[Workshop(), listener], engine=engine) as kit:
        await kit.interface.ask("press the button")
        kit.interface.fail(CannotDeliver("gone"))
        await kit.interface.ask("remind me")
        await kit.advance(300)
        await kit.interface.replies()
        ended = await kit.interface.press(kit.interface.buttons()[0])
        await kit.interface.ended(ended)
        await kit.interface.ask("/new")
        listener.context.jobs.start(lambda: asyncio.sleep(0), "nothing")
        await until(lambda: bool(listener.named("conversation.complete")) and bool(listener.named("job.ended")))
        await told(kit)
    emitted: dict[str, list[Event]] = {}
    for event in listener.heard:
        emitted.setdefault(event.name, []).append(event)
    by_core = {name for name, event in CORE_EVENTS.items() if event.by != "plugins"}
    assert emitted.keys() == by_core
    for name, told_of in emitted.items():
        for event in told_of:
            assert event.source == "core"
            assert event.data.keys() == set(CORE_EVENTS[name].fields), name
    assert emitted["delivery.failed"][0].data["final"] is True


async def test_what_belongs_to_a_turn_is_in_order_and_has_one_correlation_and_its_causes() -> None:
    engine = ScriptedEngine(actions(("press", {"button": "blue"})), message("pressed"))
    async with running_app(plugins=[Workshop()], engine=engine) as kit:
        accepted = await kit.interface.say("press the button")
        await kit.interface.ended(accepted)
        [received] = await told(kit, correlation=f"input-{accepted.input_id}")
        [turn] = await kit.rows("SELECT id FROM turns")
        records = await told(kit, correlation=f"turn-{turn['id']}")
    started = records[0].event
    assert received.event.name == "input.received"
    assert (started.name, started.cause) == ("turn.started", received.event.id)
    assert {record.event.cause for record in records[1:]} == {started.id}
    names = [record.event.name for record in records if not record.event.name.startswith("delivery.")]
    assert names == [
        "turn.started",
        "session.resolved",
        *("llm.requested", "llm.replied", "action.started", "action.completed", "plugin.action"),
        *("llm.requested", "llm.replied", "action.started", "action.completed", "plugin.action"),
        "turn.completed",
    ]
    pressed = next(record.event.data for record in records if record.event.name == "plugin.action")
    assert (pressed["plugin"], pressed["action"], pressed["output"]) == ("workshop", "press", "blue pressed")
    assert {record.event.data["status"] for record in records if record.event.name == "turn.completed"} == {
        "complete"
    }
    of_the_turn = [record for record in records if not record.event.name.startswith("delivery.")]
    assert {(record.principal, record.lane) for record in of_the_turn} == {("test:trainer", "test:trainer")}


async def test_a_turn_that_fails_or_is_stopped_is_completed_too() -> None:
    workshop = Workshop()
    engine = ScriptedEngine("{", "{", "{", actions(("wait", {})))
    async with running_app(plugins=[workshop], engine=engine) as kit:
        await kit.interface.ask("fail")
        waits = await kit.interface.say("wait")
        await workshop.waiting.wait()
        await kit.interface.ask("/stop")
        await kit.interface.ended(waits)
        records = await told(kit, name="turn.completed")
    by_input = {record.event.data["input_id"]: record.event.data["status"] for record in records}
    assert by_input == {1: "error", 2: "aborted", 3: "complete"}


async def test_an_action_whose_write_failed_is_told_as_failed() -> None:
    engine = ScriptedEngine(actions(("note_badly", {"text": "x"})), message("sorry"))
    async with running_app(plugins=[Workshop()], engine=engine) as kit:
        await kit.interface.ask("note it")
        records = await told(kit, name="action.completed")
        done = await told(kit, name="plugin.action")
    assert [(r.event.data["action"], r.event.data["status"]) for r in records[:1]] == [("note_badly", "failed")]
    assert all(record.event.data["action"] != "note_badly" for record in done)


async def test_handlers_that_do_not_work_are_told_of_and_change_nothing() -> None:
    listener, broken = Listener(), Broken()
    patient = WatchdogSettings(failures_in_a_row=100)
    engine = ScriptedEngine(message("hi"))
    async with running_app(plugins=[broken, listener], engine=engine, watchdog=patient) as kit:
        assert await kit.interface.ask("hello") == ["hi"]
        [record] = await told(kit, name="turn.started")
        broken.gate.set()
    [heard] = listener.named("turn.started")
    assert heard.data["text"] == "hello"
    ends = {run.handler: (run.end, run.reason) for run in record.runs}
    assert ends["raise_it"] == (HandlerEnd.RAISED, "ValueError: no")
    assert ends["exit_it"][0] is HandlerEnd.RAISED
    assert ends["hang"][0] is HandlerEnd.TIMED_OUT
    assert ends["cling"][0] is HandlerEnd.TIMED_OUT
    assert ends["swell"] == (HandlerEnd.RAISED, "ValueError: the data of an event may have 65536 bytes, not 100011")
    assert ends["mistake"][0] is HandlerEnd.RAISED
    assert ends["spoil"][0] is HandlerEnd.RAN
    assert ends["never"] == (HandlerEnd.CONDITION, "The condition failed: ZeroDivisionError: division by zero")
    assert ends["hear"][0] is HandlerEnd.RAN


async def test_a_turn_does_not_wait_for_handlers_and_they_hear_of_it_in_order() -> None:
    listener, slow = Listener(), Slow()
    engine = ScriptedEngine(message("one"), message("two"))
    async with running_app(plugins=[slow, listener], engine=engine) as kit:
        assert await kit.interface.ask("first") == ["one"]
        assert await kit.interface.ask("second") == ["two"]
        assert listener.named("turn.started") == []  # the handlers of the very first event have not ended yet
        slow.gate.set()
        await told(kit)
    assert [event.data["text"] for event in listener.named("turn.started")] == ["first", "second"]


async def test_too_many_events_that_wait_lose_the_oldest_and_say_so() -> None:
    slow, listener = Slow(), Listener()
    async with running_app(plugins=[slow, listener], engine=ScriptedEngine(message("one"))) as kit:
        await asyncio.sleep(0)
        kit.app.events._most_waiting = 5
        assert await kit.interface.ask("first") == ["one"]
        assert kit.app.events.lost > 0
        slow.gate.set()
        await told(kit)
    assert listener.named("turn.completed")
    assert not listener.named("turn.started")


@pytest.mark.parametrize("timeout_s", [math.nan, math.inf, -math.inf])
async def test_a_time_that_never_comes_is_no_deadline(timeout_s: float) -> None:
    """And the event loop would put its other timers in a wrong order."""
    async with running_app(plugins=[Listener()]) as kit:
        with pytest.raises(ValueError, match="write a number of seconds"):
            await kit.app.events.request("somebody", "lamp.asked", {}, timeout_s)
        with pytest.raises(ValueError, match="write a number of seconds"):
            await kit.app.events.emit("somebody", "lamp.asked", {}, timeout_s)


async def test_a_handler_that_is_late_again_and_again_rests() -> None:
    class Late(AIPluginBase):
        calls = 0

        @on("input.received", timeout_s=0.01)
        async def hang(self, event: Event) -> None:
            self.calls += 1
            await asyncio.get_running_loop().create_future()

    late = Late()
    async with running_app(plugins=[late], engine=ScriptedEngine(*[message("hi")] * 5)) as kit:
        for _ in range(4):
            await kit.interface.ask("hello")
            records = await told(kit, name="input.received")
        assert late.calls == 3
        assert records[-1].runs[0].end is HandlerEnd.RESTING
        await kit.advance(61)
        await kit.interface.ask("hello")
        await told(kit)
    assert late.calls == 4


async def test_events_that_cause_each_other_are_cut_off() -> None:
    class Circle(AIPluginBase):
        seen = 0

        @on("circle.*")
        async def go_on(self, event: Event) -> None:
            self.seen += 1
            await self.context.events.emit("circle.turned", {"from": event.depth})

    circle = Circle()
    async with running_app(plugins=[circle]) as kit:
        await circle.context.events.emit("circle.turned")
        records = await told(kit, name="circle.turned")
    assert circle.seen == 17
    refused = [record for record in records if record.end is EventEnd.REJECTED]
    assert [record.event.depth for record in refused] == [17]
    assert "circle" in refused[0].reason


async def test_a_plugin_that_stops_or_is_set_aside_hears_nothing_more() -> None:
    class Subscriber(Listener):
        def __init__(self) -> None:
            super().__init__()
            self.subscribed: list[str] = []

        async def start(self) -> None:
            self.context.events.subscribe("news.*", lambda event: self.subscribed.append(event.name))
            self.cancelled = self.context.events.subscribe("news.*", lambda event: self.subscribed.append("never"))
            self.cancelled.cancel()
            self.cancelled.cancel()

    class Emitter(AIPluginBase):
        """Does nothing by itself."""

    subscriber, emitter = Subscriber(), Emitter()
    async with running_app(plugins=[subscriber, emitter]) as kit:
        await emitter.context.events.emit("news.one")
        component = next(c for c in kit.app.registry.components("plugin") if c.instance is subscriber)
        await kit.app.plugins.control.quarantine(component.name, "it was tried out")
        handled = await emitter.context.events.emit("news.two")
        assert component.state is ComponentState.QUARANTINED
        assert kit.app.events.handlers.of("news.three") == ()
    assert [event.name for event in subscriber.heard if event.source != "core"] == ["news.one"]
    assert subscriber.subscribed == ["news.one"]
    assert handled.runs == ()


async def test_what_is_configured_for_a_handler_holds() -> None:
    listener = Listener()
    table = ComponentTable(events={"**": {"when": "regex: ^hello"}})
    settings: dict[str, Any] = {"components": {"plugins": {"listener": table}}}
    async with running_app(plugins=[listener], engine=ScriptedEngine(message("hi")), **settings) as kit:
        await kit.interface.ask("hello there")
        await told(kit)
    assert {event.name for event in listener.heard} == {"input.received", "turn.started"}


async def test_what_a_plugin_emits_in_a_turn_belongs_to_it() -> None:
    class Emitter(AIPluginBase):
        @on("turn.started")
        async def follow(self, event: Event) -> None:
            await self.context.events.emit("emitter.followed", {"secret": "it is s3cret-value"})

    emitter = Emitter()
    async with running_app(plugins=[emitter], engine=ScriptedEngine(message("hi"))) as kit:
        kit.app.masker.learn("KEY", "s3cret-value")
        await kit.interface.ask("hello")
        [started] = await told(kit, name="turn.started")
        [followed] = await told(kit, name="emitter.*")
    assert (followed.event.source, followed.principal, followed.lane) == ("emitter", "test:trainer", "test:trainer")
    assert followed.event.cause == started.event.id
    assert followed.event.correlation_id == started.event.correlation_id
    assert followed.event.data == {"secret": "it is [KEY]"}


async def test_the_history_is_kept_and_goes_with_the_person(tmp_path: Path) -> None:
    async with running_app(
        engine=ScriptedEngine(message("hi")), home=tmp_path, events=EventSettings(keep=True)
    ) as kit:
        await kit.interface.ask("hello")
        await kit.app.events.settled()
        await kit.app.kept_events.written()
        rows = await kit.rows("SELECT name, principal, lane, correlation_id, data, runs FROM events ORDER BY id")
    started = next(row for row in rows if row["name"] == "turn.started")
    assert (started["principal"], started["lane"]) == ("test:trainer", "test:trainer")
    assert json.loads(started["data"])["text"] == "hello"
    assert json.loads(started["runs"]) == []
    async with running_app(home=tmp_path) as kit:
        states = await kit.rows("SELECT data FROM events WHERE name = 'plugin.state_changed'")
    assert "stopped" in {json.loads(row["data"])["state"] for row in states}  # also what happened while it went down


async def test_nothing_is_kept_unless_it_is_wanted() -> None:
    async with running_app(engine=ScriptedEngine(message("hi"))) as kit:
        await kit.interface.ask("hello")
        await kit.app.events.settled()
        await kit.app.kept_events.written()
        assert await kit.rows("SELECT id FROM events") == []


def rekku(home: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command of `rekku events`; return its exit status, and what it said."""
    result = CliRunner().invoke(command_line, ["events", *arguments], env={"REKKU_HOME": str(home)})
    return result.exit_code, result.stdout, result.stderr


async def test_kept_events_are_listed_by_name_plugin_and_correlation(tmp_path: Path) -> None:
    listener = Listener()
    async with running_app(
        plugins=[listener], engine=ScriptedEngine(message("hi")), home=tmp_path, events=EventSettings(keep=True)
    ) as kit:
        await kit.interface.ask("hello")
        await listener.context.events.emit("listener.noted", {"what": "a lamp"})
    in_thread = asyncio.to_thread
    code, out, _ = await in_thread(rekku, tmp_path, "list", "--name", "turn.*")
    assert code == 0
    assert [line.split()[2] for line in out.splitlines()[1:]] == ["turn.started", "turn.completed"]
    assert "listener.hear: ran" in out
    _, out, _ = await in_thread(rekku, tmp_path, "list", "--json", "--correlation", "turn-1", "--limit", "1000")
    rows = json.loads(out)
    assert {row["correlation_id"] for row in rows} == {"turn-1"}
    started = next(row for row in rows if row["name"] == "turn.started")
    assert [row["at_ms"] for row in rows] == sorted(row["at_ms"] for row in rows), "the newest is the last"
    assert started["runs"][0].keys() == {"plugin", "handler", "stage", "end", "reason", "took_ms"}
    _, out, _ = await in_thread(rekku, tmp_path, "list", "--json", "--plugin", "Listener")
    assert json.loads(out) == []
    _, out, _ = await in_thread(rekku, tmp_path, "list", "--json", "--plugin", "listener", "--name", "listener.**")
    assert [row["data"] for row in json.loads(out)] == [{"what": "a lamp"}]
    _, out, _ = await in_thread(rekku, tmp_path, "list", "--json")
    names = [row["name"] for row in json.loads(out)]
    assert "plugin.state_changed" not in names, "all came and went as they do"
    assert names[-1] == "listener.noted"
    _, out, _ = await in_thread(rekku, tmp_path, "list", "--json", "--all", "--limit", "1000")
    assert json.loads(out)[-1]["data"]["state"] == "stopped"
    code, _, error = await in_thread(rekku, tmp_path, "list", "--name", "turn")
    assert (code, "no dot" in error) == (2, True)


async def test_tail_shows_each_event_once_and_those_that_follow(tmp_path: Path) -> None:
    kept: dict[str, Any] = {"home": tmp_path, "events": EventSettings(keep=True)}
    async with running_app(engine=ScriptedEngine(message("hi")), **kept) as kit:
        await kit.interface.ask("hello")
    looks = 0

    def pause(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            asyncio.run(again())
        if looks == 3:
            raise KeyboardInterrupt

    async def again() -> None:
        async with running_app(engine=ScriptedEngine(message("hi")), **kept) as kit:
            await kit.interface.ask("and again")

    said = io.StringIO()

    def tail() -> int:
        asked = {"name": "turn.started", "plugin": "", "correlation": ""}
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
            patch.setenv("REKKU_HOME", str(tmp_path))
            return events.follow(asked, True, 10, pause)

    assert await asyncio.to_thread(tail) == 0
    shown = [json.loads(line) for line in said.getvalue().splitlines() if line.startswith("{")]  # not the app's log
    assert [row["data"]["text"] for row in shown] == ["hello", "and again"]


async def test_where_nothing_is_kept_the_command_says_how_to(tmp_path: Path) -> None:
    async with running_app(home=tmp_path):
        pass
    code, _, error = await asyncio.to_thread(rekku, tmp_path, "list")
    assert code == 1
    assert "keep = true" in error
    assert str(tmp_path / "rekku.toml") in error
