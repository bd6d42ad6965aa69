"""A replay and a dry run: what plugins would set going by themselves is told of, and not begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from core.app import App
from core.contracts.events import HandlerEnd
from core.replay.replayed import replay_turn
from core.settings import ComponentTable, Settings
from core.testing import ScriptedEngine, actions, message, running_app
from core.turn.rehearse import Rehearsal
from interfaces.console import ConsoleInterface
from tests.flows.test_replay import recorded, shown
from tests.support.isolated_plugins import until

RESTLESS = '''
from pathlib import Path

from core.ai_plugin_base import AIPluginBase, action, every, hook, on

LOG = Path({log!r})


def done(what):
    with LOG.open("a") as log:
        log.write(what + "\\n")


class Restless(AIPluginBase):
    """Does a lot by itself."""

    async def start(self):
        done("start of a rehearsal" if self.context.rehearsal else "start")
        argv = ["sh", "-c", "echo sidecar >> " + str(LOG) + "; exec sleep 600"]
        started = lambda: "sidecar" in LOG.read_text()
        self.server = await self.context.sidecar(argv, name="server", ready=started)
        self.context.spawn(self.idle(), "idling")
        self.context.events.subscribe("restless.looked", self.heard)
        self.context.messages.subscribe(lambda said: done("listens"))

    async def idle(self):
        done("task")

    def heard(self, event):
        done("subscriber")

    @on("restless.looked")
    def handle(self, event):
        done("handler")

    @on("restless.looked", stage="filter")
    def widen(self, event):
        return {{"where": event.data["where"] + " and the sea"}}

    @on("restless.asked")
    def tell(self, event):
        return "gulls"

    @action(effect="read", permission="anyone", command="look")
    async def look(self) -> str:
        """Look around."""
        job = self.context.jobs.start(self.work, "work")
        handled = await self.context.events.emit("restless.looked", {{"where": "the sky"}})
        found = await self.context.events.request("restless.asked")
        return handled.event.data["where"] + ": " + found

    async def work(self):
        done("job")

PLUGIN_CLASS = Restless
'''
REAL = {"start", "sidecar", "task", "listens", "subscriber", "handler", "job"}


def restless(folder: Path, isolation: str) -> tuple[Path, dict[str, Any]]:
    """Write the plugin; return its log, and the settings that load it."""
    log = folder / "log"
    log.touch()
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "restless.py").write_text(RESTLESS.format(log=str(log)))
    table = ComponentTable(isolation=isolation)
    return log, {"plugin_path": (plugins,), "components": {"plugins": {"restless": table}}}


@pytest.mark.parametrize("isolation", ["none", "process"])
async def test_a_replay_begins_nothing_of_what_a_plugin_does_by_itself(tmp_path: Path, isolation: str) -> None:
    log, settings = restless(tmp_path, isolation)
    engine = ScriptedEngine(actions(("look", {})), message("Gulls."))
    async with running_app(engine=engine, **settings) as kit:
        await kit.interface.ask("look around")
        await until(lambda: set(log.read_text().splitlines()) == REAL, "all of it is done")
        recording = await recorded(kit)
    assert recording.actions[0].output == "the sky and the sea: gulls"
    log.write_text("")
    home = tmp_path / "home"
    home.mkdir()
    replayed = await replay_turn(recording, Settings(home=home, timezone="UTC", **settings))
    assert shown(replayed) == []
    assert log.read_text() == "start of a rehearsal\n"


async def test_a_dry_run_tells_of_what_would_be_set_going_and_who_was_not_told(tmp_path: Path) -> None:
    log, settings = restless(tmp_path, "none")
    engine = ScriptedEngine(message("Hello."))
    told: list[str] = []
    app = App(
        Settings(home=tmp_path / "home", engine=(engine.name,), timezone="UTC", **settings),
        engines=[engine],
        serve=("console",),
        rehearsal=Rehearsal(left_out=told.append),
    )
    async with app:
        assert await cast(ConsoleInterface, app.interface("console")).run_once("/look") == 0
        (looked,) = app.events.history.listing(name="restless.looked")
    assert log.read_text() == "start of a rehearsal\n"
    assert told == ["the sidecar server of restless", "the job work of restless"]
    ends = {(run.handler, run.end, run.reason) for run in looked.runs}
    assert ends == {
        ("widen", HandlerEnd.RAN, ""),
        ("handle", HandlerEnd.PASSED_OVER, "This is a dry run."),
        ("heard", HandlerEnd.PASSED_OVER, "This is a dry run."),
    }


async def test_what_does_not_begin_is_given_as_what_it_would_be(tmp_path: Path) -> None:
    _, settings = restless(tmp_path, "none")
    async with App(
        Settings(home=tmp_path / "home", engine=("offline",), timezone="UTC", **settings),
        serve=(),
        rehearsal=Rehearsal(),
    ) as app:
        component = app.registry.components("plugin")
        context = next(one.instance.context for one in component if one.name == "restless")
        server = await context.sidecar(["true"], name="other")
        assert (server.name, server.pid, server.restarts) == ("other", None, 0)
        await server.stop()
        job = context.jobs.start(lambda: pytest.fail("it ran"), "work")
        assert (job.name, job.state, job.result) == ("work", "cancelled", None)
        assert job.error == "Nothing was done, this is a dry run."
        assert context.jobs.running() == []
        job.cancel()
        with pytest.raises(ValueError, match="argv"):
            await context.sidecar("true", name="other")
        with pytest.raises(ValueError, match="timeout_s"):
            context.jobs.start(lambda: pytest.fail("it ran"), "work", timeout_s=0)
