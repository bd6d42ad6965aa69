"""Events, other plugins, the model, conversations, jobs and slots: the same from a process of its own as inside."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.contracts.events import EventEnd
from core.contracts.json import Json
from core.contracts.slots import Gauge
from core.isolation.standin import IsolatedPlugin
from core.registry.component import ComponentState
from core.settings import ComponentTable
from core.settings.budgets import BudgetSettings
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.flows.records import outcome, statuses
from tests.support.crossing_plugin import Crosser, Neighbour
from tests.support.isolated_plugins import processes_of, standin, until


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
        for user_id in ("", "anna"):
            seen[f"call for {user_id}"] = await did(kit, "call", user_id)
            row = await outcome(kit, "do")
            assert row["tainted"], "what it called has read the outside"
        seen["ledger"] = await statuses(kit)
        sent = await kit.rows("SELECT text, tainted FROM messages WHERE text LIKE 'what was read%' ORDER BY id")
        seen["sent"] = [(row["text"], bool(row["tainted"])) for row in sent]
        kit.engine.then("four")
        seen["model"] = await did(kit, "model")
        asked = kit.engine.requests[-1]
        seen["asked"] = [asked.instructions, [(m.content, m.source) for m in asked.messages], asked.max_output_tokens]
        seen["asks"] = await kit.rows("SELECT principal, plugin, engine FROM asks")
        await did(kit, "afterwards")
        await did(kit, "go_on")
        before = len(seen["circle"][2])
        seen["afterwards"] = (await heard(kit, before + 2))[before:]
        assert [e.source for e in neighbour.heard] == ["crosser"]
        seen["begin"] = await did(kit, "begin")
        jobs = (await heard(kit, before + 5))[before + 2 :]
        seen["jobs"] = sorted(jobs, key=str)
        seen["messages"] = await did(kit, "messages")
        assert "shown" in [sent.text for sent in kit.interface.sent] 
        await kit.interface.ask("what is @crossing?")
        seen["prompt"] = sorted(m.content for m in kit.engine.last.messages if "noted" in m.content or "of test" in m.content)
        seen["said"] = [one for one in await heard(kit, before + 7) if one[0] in ("user", "assistant")][:2]
        status = (await kit.interface.ask("/status"))[0]
        seen["status"] = [line for line in status.splitlines() if "heard" in line]
        seen["help"] = [line for line in (await kit.interface.ask("/help"))[0].splitlines() if "@crossing" in line]
        (gauge,) = [g for plugin, g in kit.app.host.slots.of("metrics", Gauge) if plugin == "crosser"]
        await until(lambda: gauge.read() > 0, "a figure")
        await kit.interface.ask("/strategy one_step")
        kit.engine.then(("greet", {"who": "Cleo"}))
        seen["strategy"] = await kit.interface.ask("greet Cleo")
        seen["engine"] = kit.engine.last.messages[-1].content
    return seen


async def test_everything_is_the_same_inside_and_outside() -> None:
    inside = await all_of("none")
    outside = await all_of("process")
    for what, seen in inside.items():
        assert outside[what] == seen, what
    assert inside["circle"][0] == EventEnd.HANDLED
    assert inside["circle"][2][1] == [16, EventEnd.REJECTED]
