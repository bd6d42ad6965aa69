"""Events by the thousand, endless ones, and conditions that never end: others go on, and it is said who it was."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.ai_plugin_base import AIPluginBase, Event, Reject, always, on, regex
from core.component_events import ComponentEvents
from core.contracts.errors import RekkuError
from core.contracts.events import EventEnd, HandlerEnd
from core.services import event_rates
from core.settings import ComponentTable, WatchdogSettings
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.flows.test_events import Slow, told, until

PATIENT = WatchdogSettings(failures_in_a_row=1000)
ENDLESS = r"^(a+)+$"
"""Takes twice as long with each letter of what it is looked for in."""


class Emitter(AIPluginBase):
    """Emits what the test wants."""


def state(kit: RunningApp, name: str) -> str:
    component = kit.app.registry.get("plugin", name)
    assert component is not None
    return str(component.state)


async def test_who_emits_in_a_loop_lets_others_run() -> None:
    emitter, ticks = Emitter(), 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async with running_app(plugins=[emitter]):
        ticking = asyncio.create_task(tick())
        for _ in range(500):
            await emitter.context.events.emit("lamp.on")
        ticking.cancel()
    assert ticks >= 500


async def test_a_storm_is_refused_said_once_and_counts_in_each_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_rates, "MOST_IN_A_WINDOW", 50)
    emitter, other = Emitter(), type("Other", (Emitter,), {})()
    async with running_app(plugins=[emitter, other], watchdog=WatchdogSettings(failures_in_a_row=2)) as kit:

        async def storm() -> list[EventEnd]:
            return [(await emitter.context.events.emit("lamp.on", {"n": n})).end for n in range(200)]

        with capture_logs() as logs:
            assert (await storm()).count(EventEnd.HANDLED) == 50
        assert (
            len([line for line in logs if line["event"].startswith("a storm") and line["source"] == "emitter"]) == 1
        )
        assert (await other.context.events.emit("lamp.on")).end is EventEnd.HANDLED
        records = kit.app.events.history.listing(name="lamp.on")
        (refused,) = [record for record in records if record.end is EventEnd.REJECTED]
        assert "emitter has emitted 50 events in a minute" in refused.reason
        assert state(kit, "emitter") == "active"
        await kit.clock.advance(61)
        with contextlib.suppress(RekkuError):  # it is stopped in the middle of it
            await storm()
        await until(lambda: state(kit, "emitter") == "quarantined")
        await until(lambda: any("50 events in a minute" in part.text for part in kit.interface.sent))
        assert state(kit, "other") == "active"


async def test_events_that_come_back_twice_each_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_rates, "MOST_ON_THEIR_WAY", 20)

    class Doubling(AIPluginBase):
        """Answers each event with two of the same name."""

        most = 0

        @on("echo.heard")
        async def again(self, event: Event) -> None:
            for _ in range(2):
                self.context.spawn(self.emit(), "echo")
            self.most = max(self.most, len(asyncio.all_tasks()))

        async def emit(self) -> None:
            await self.context.events.emit("echo.heard")

    doubling = Doubling()
    engine = ScriptedEngine(otherwise=message("fine"))
    async with running_app(plugins=[doubling], engine=engine, watchdog=PATIENT) as kit:
        await doubling.context.events.emit("echo.heard")
        assert await kit.interface.ask("hello") == ["fine"]
        await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "doubling: echo"])
    assert doubling.most < 500


@pytest.mark.parametrize("how", ["in code", "in rekku.toml"])
async def test_a_regular_expression_that_never_ends_is_given_up_and_its_handler_rests(how: str) -> None:
    class Searching(AIPluginBase):
        """Looks for what it cannot find."""

        @on("input.received", when=regex(ENDLESS) if how == "in code" else always)
        async def find(self, event: Event) -> None: ...

    table = ComponentTable(events={"find": {"when": f"regex: {ENDLESS}"}})
    plugins = {"searching": table} if how == "in rekku.toml" else {}
    settings: dict[str, Any] = {"components": {"plugins": plugins}, "watchdog": PATIENT}
    engine = ScriptedEngine(otherwise=message("fine"))
    searching = Searching()
    async with running_app(plugins=[searching], engine=engine, **settings) as kit:
        for _ in range(4):
            assert await kit.interface.ask("a" * 60 + "!") == ["fine"]
        records = await told(kit, name="input.received")
        runs = [record.runs[0] for record in records]
    assert [run.end for run in runs] == [HandlerEnd.CONDITION] * 3 + [HandlerEnd.RESTING]
    assert all("SearchTooLong" in run.reason and "(a+)+" in run.reason for run in runs[:3])


async def test_a_condition_that_never_ends_makes_its_handler_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.services.event_calls.CONDITION_TIMEOUT_S", 0.01)

    async def never(event: Event) -> bool:
        await asyncio.Event().wait()
        return True

    class Undecided(AIPluginBase):
        """Never knows."""

        @on("lamp.on", when=never)
        async def hear(self, event: Event) -> None: ...

    emitter = Emitter()
    async with running_app(plugins=[emitter, Undecided()], watchdog=PATIENT):
        ends = [(await emitter.context.events.emit("lamp.on")).runs[0].end for _ in range(4)]
    assert ends == [HandlerEnd.CONDITION] * 3 + [HandlerEnd.RESTING]


async def test_a_late_function_does_not_make_another_one_of_its_name_rest() -> None:
    emitter = Emitter()
    async with running_app(plugins=[emitter], watchdog=PATIENT):
        events = emitter.context.events
        events.subscribe("lamp.on", lambda event: asyncio.Event().wait(), timeout_s=0.01)
        events.subscribe("lamp.on", lambda event: None)
        runs = [(await events.emit("lamp.on")).runs for _ in range(4)]
    assert [[run.end.value for run in pair] for pair in runs] == [["timed out", "ran"]] * 3 + [["resting", "ran"]]


async def test_the_history_keeps_no_reason_without_end() -> None:
    class Wordy(AIPluginBase):
        """Says far too much."""

        @on("lamp.on", stage="validate")
        async def refuse(self, event: Event) -> Reject:
            return Reject("x " * 1_000_000)

        @on("lamp.off")
        async def fail(self, event: Event) -> None:
            raise RekkuError("y" * 1_000_000)

    emitter = Emitter()
    async with running_app(plugins=[emitter, Wordy()], watchdog=PATIENT) as kit:
        await emitter.context.events.emit("lamp.on")
        await emitter.context.events.emit("lamp.off")
        records = kit.app.events.history.listing(name="lamp.*")
    reasons = [record.reason for record in records] + [run.reason for record in records for run in record.runs]
    assert max(map(len, reasons)) < 2100
    assert any("cut: 2000000 characters" in reason for reason in reasons)


async def test_what_has_stopped_neither_tells_nor_hears() -> None:
    heard: list[str] = []

    class Keeper(AIPluginBase):
        """Keeps the first context that it was handed."""

        first: Any = None

        async def start(self) -> None:
            Keeper.first = Keeper.first or self.context

    emitter = Emitter()
    async with running_app(plugins=[emitter, Keeper()]) as kit:
        old: ComponentEvents = Keeper.first.events
        await kit.app.plugins.control.ask("disable", "keeper", "test")
        await kit.app.plugins.control.ask("enable", "keeper", "test")
        with pytest.raises(RekkuError, match="keeper has been stopped"):
            old.subscribe("lamp.*", lambda event: heard.append(event.name))
        for call in (old.emit, old.request, old.gather):
            with pytest.raises(RekkuError, match="keeper has been stopped"):
                await call("lamp.on")
        await emitter.context.events.emit("lamp.on")
        assert Keeper.first is not kit.app.registry.get("plugin", "keeper").instance.context  # type: ignore[union-attr]
    assert heard == []


async def test_where_events_are_lost_it_is_said_whose_handler_holds_them_up() -> None:
    slow = Slow()
    async with running_app(plugins=[slow], engine=ScriptedEngine(message("one"))) as kit:
        await asyncio.sleep(0)
        kit.app.events._most_waiting = 5
        with capture_logs() as logs:
            assert await kit.interface.ask("first") == ["one"]
        slow.gate.set()
    (lost,) = [line for line in logs if "the oldest events are lost" in line["event"]]
    assert lost["handler"] == "slow.hold"
