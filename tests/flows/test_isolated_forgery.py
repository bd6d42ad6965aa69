"""A plugin's process that writes to its connection by itself gains nothing by it, and holds nothing afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from core.ai_plugin_base import ActionContext, AIPluginBase, Event, action, on
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.flows.records import outcome
from tests.support.isolated_plugins import place, processes_of, standin, until

FORGER = """
import asyncio, itertools, json

from core.ai_plugin_base import AIPluginBase, ActionContext, action


class Forger(AIPluginBase):
    isolation = "process"
    numbers = itertools.count(1_000_000)

    @action(effect="external", permission="anyone", repeatable=True, reads_outside=False, timeout_s=60)
    async def forge(self, ctx: ActionContext, frames: list[dict]) -> str:
        \"\"\"Send frames, and return how those that are calls were answered.\"\"\"
        peer = self.context.peer
        taken, heard = {}, peer._answered

        def answered(id_, frame):
            if id_ >= 1_000_000:
                taken[id_] = frame.get("error", {"said": frame.get("value")})["said"]
            else:
                heard(id_, frame)

        peer._answered = answered
        asked = []
        for frame in frames:
            if frame.get("in") == "own":
                frame["in"] = peer._situations.inside()
            if "call" in frame:
                frame["call"] = next(self.numbers)
                asked.append(frame["call"])
            peer._send(frame)
        await peer.call("kv.get", "", None)
        while len(taken) < len(asked):
            await asyncio.sleep(0.01)
        peer._answered = heard
        ctx.send("sent")
        return json.dumps([[taken[id_] for id_ in asked], peer._situations.inside()])

    @action(effect="external", permission="anyone", repeatable=True, reads_outside=False, timeout_s=60)
    async def wait(self) -> None:
        \"\"\"Go on for long.\"\"\"
        await asyncio.sleep(3600)


PLUGIN_CLASS = Forger
"""


class Neighbour(AIPluginBase):
    """Has what the forger is after."""

    name = "neighbour"

    def __init__(self) -> None:
        self.told: list[str] = []

    @action(effect="external", permission="trainer", repeatable=True, reads_outside=False)
    async def unlock(self, ctx: ActionContext) -> str:
        """Unlock the door."""
        self.told.append(str(ctx.principal))
        return "unlocked"

    @on("door.asked")
    async def answer(self, event: Event) -> str:
        return "shut"


def call(name: str, *args: Any, inside: object = "own") -> dict[str, Any]:
    return {"call": 0, "name": name, "with": list(args), "in": inside}


async def forged(kit: RunningApp, *frames: dict[str, Any], user_id: str = "") -> tuple[list[Any], int]:
    """Return the answers to forged frames, and the number of the call in which they were sent."""
    kit.engine.then(("forge", {"frames": list(frames)}), message("over"))
    said = await kit.interface.say("forge", user_id=user_id)
    await kit.interface.ended(said)
    answers, situation = json.loads(json.loads((await outcome(kit, "forge"))["output"]))
    return answers, situation


def hearing() -> int:
    return sum(task.get_name() == "forger hears" for task in asyncio.all_tasks())


async def test_nothing_is_gained_by_forged_frames(tmp_path: Path) -> None:
    neighbour, engine = Neighbour(), ScriptedEngine(otherwise=message("as ever"))
    place(tmp_path, forger=FORGER)
    async with running_app(home=tmp_path, engine=engine, plugins=[neighbour], access="open") as kit:
        unlock: tuple[Any, ...] = ("call_plugin", "neighbour", "unlock", {})
        (answer,), trainers = await forged(kit, call(*unlock))
        assert answer == "unlocked"
        assert neighbour.told == [f"test:{kit.interface.trainer}"]

        made_up = (None, 0, -1, 10**30, True, "x", [1], {"a": 1}, 1.5, trainers)
        answers, _ = await forged(kit, *(call(*unlock, inside=one) for one in made_up), user_id="guest")
        for one, answer in zip(made_up, answers, strict=True):
            assert "outside of an action" in answer or "has ended" in answer, one
        (answer,), _ = await forged(kit, call(*unlock), user_id="guest")
        assert "unlock" in answer
        assert answer != "unlocked"
        assert len(neighbour.told) == 1, "a guest's action has a guest's rights, whatever its plugin writes"

        nothing = [
            call("config", "neighbour"),
            call("approve", "1"),
            call("load"),
            call("database.read", "x"),
            call("kv.get", {"a": 1}, None),
            call("kv.get", "plugin.neighbour", "key", None),
            call("engines.ask", "x", {"timeout_s": 1}),
            call("messages.show", "test:somebody", "x", 5),
        ]
        answers, _ = await forged(kit, *nothing)
        assert all("is nothing that a plugin's process may ask for" in answer for answer in answers), answers
        assert await kit.interface.ask("hello", chat_id="another") == ["as ever"]


async def test_nothing_is_held_twice_and_nothing_when_it_has_ended(tmp_path: Path) -> None:
    engine = ScriptedEngine(otherwise=message("as ever"))
    subscribe = {"tell": "subscribe", "with": [42, "hear", [{}, 0], ["bell.*", "handle", 1, 1]]}
    hear = {"tell": "hear", "with": [43, None, 1]}
    endless = {"tell": "job", "with": ["x", 1, "endless", 10**400]}
    with capture_logs() as logs:
        async with running_app(home=place(tmp_path, forger=FORGER), engine=engine) as kit:
            await forged(kit, subscribe, subscribe, hear, hear, endless)
            told = await kit.app.events.emit("test", "bell.rang", {}, 5)
            assert [run.handler for run in told.runs] == ["hear"]
            assert hearing() == 1
            os.kill(processes_of(standin(kit, "forger"))[-1], signal.SIGKILL)
            await until(lambda: not kit.app.registry.is_in_use("plugin", "forger"), "the plugin to be degraded")
            await until(lambda: not hearing(), "nothing to be heard any more")
            await kit.advance(1.1)
            await until(lambda: kit.app.registry.is_in_use("plugin", "forger"), "the plugin to work again")
            assert (await kit.app.events.emit("test", "bell.rang", {}, 5)).runs == ()
    refused = [line["error"] for line in logs if line["event"] == "what a plugin wants kept cannot be"]
    assert len(refused) == 3, refused
