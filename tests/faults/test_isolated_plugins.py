"""Plugins in processes of their own: whatever they do there, Rekku and everybody else go on, and it is told."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from core.isolation.usage import usage_below
from core.registry.component import Component, ComponentState, Stage
from core.settings import ComponentTable
from core.testing import Answer, RunningApp, ScriptedEngine, message, running_app
from tests.flows.records import outcome
from tests.support.isolated_plugins import ZOO, alive, guard_of, place, processes_of, standin, tables, until
from tests.support.plugin_files import plugin_source
from tests.unit import test_registry_loading

ROOT = Path(__file__).parents[2]
SMALL = ComponentTable(isolation="process", process_memory_mb=300)


def zoo_of(kit: RunningApp) -> Component:
    component = kit.app.registry.get("plugin", "zoo")
    assert component is not None
    return component


async def comes_back(kit: RunningApp) -> None:
    """Let the pause before the restart pass, and see the plugin work again."""
    await until(lambda: zoo_of(kit).state is ComponentState.DEGRADED, "the plugin to be degraded")
    await kit.advance(1.1)
    await until(lambda: zoo_of(kit).state is ComponentState.ACTIVE, "the plugin to work again")
    kit.engine.then(("pid", {}), message("here again"))
    assert (await kit.interface.ask("are you there?"))[-1] == "here again"


FATAL = {
    "block": "did not end when it was cancelled",
    "swallow": "did not end when it was cancelled",
    "leave": "its process ended (exit 3)",
    "crash": "its process ended (signal 11)",
    "fork": "processes",
    "eat_together": "memory",
    "garble": "it sent a message of",
    "deaf": "does not read what it is sent",
    "hang_up": "it closed its connection",
}


@pytest.mark.parametrize("type_", FATAL)
async def test_what_ends_the_process_is_told_and_nobody_else_notices(tmp_path: Path, type_: str) -> None:
    engine = ScriptedEngine((type_, {}), otherwise=message("as ever"))
    with capture_logs() as logs:
        async with running_app(home=place(tmp_path, zoo=ZOO), engine=engine, components=tables(zoo=SMALL)) as kit:
            family = processes_of(standin(kit))
            said = await kit.interface.say("do it")
            assert await kit.interface.ask("hello", chat_id="another") == ["as ever"]
            await kit.interface.ended(said)
            row = await outcome(kit, type_)
            in_bounds = type_ in ("fork", "eat_together") and row["status"] == "failed"
            if in_bounds:  # the control group had it fail by itself
                assert zoo_of(kit).state is ComponentState.ACTIVE
                family = processes_of(standin(kit))
            else:
                assert row["status"] == "unknown"
                await comes_back(kit)
                reasons = [line["reason"] for line in logs if line["event"] == "a plugin's process ended"]
                assert len(reasons) == 1
                killed_by_the_kernel = type_ == "eat_together" and "signal 9" in reasons[0]
                assert FATAL[type_] in reasons[0] or killed_by_the_kernel
                await until(lambda: not any(map(alive, family)), "its processes to be gone")
            now = processes_of(standin(kit))
    await until(lambda: not any(map(alive, [*family, *now])), "its processes to be gone")


async def test_what_is_in_its_control_group_ends_also_when_its_guard_is_killed(tmp_path: Path) -> None:
    engine = ScriptedEngine(("hold", {}), otherwise=message("as ever"))
    async with running_app(home=place(tmp_path, zoo=ZOO), engine=engine, components=tables(zoo=SMALL)) as kit:
        child = standin(kit)._child
        assert child is not None
        if not child.process._group.members:
            pytest.skip("needs control groups: run it where they may be made")
        before = len(processes_of(standin(kit)))
        said = await kit.interface.say("do it")
        await until(lambda: len(processes_of(standin(kit))) >= before + 3, "processes in sessions of their own")
        family = processes_of(standin(kit))
        os.kill(guard_of(standin(kit)), signal.SIGKILL)
        await kit.interface.ended(said)
        await until(lambda: not any(map(alive, family)), "its processes to be gone")
        assert (await outcome(kit, "hold"))["status"] == "unknown"
        await comes_back(kit)


async def test_what_stays_within_the_process_fails_alone(tmp_path: Path) -> None:
    script: list[Answer] = []
    for type_ in ("eat", "huge", "store", "read_database", "flood"):
        script += [(type_, {}), message(f"after {type_}")]
    engine = ScriptedEngine(*script)
    with capture_logs() as logs:
        async with running_app(home=place(tmp_path, zoo=ZOO), engine=engine, components=tables(zoo=SMALL)) as kit:
            before = processes_of(standin(kit))
            for type_ in ("eat", "huge", "store", "read_database", "flood"):
                assert await kit.interface.ask(type_) == [f"after {type_}"]
            reasons = {t: (await outcome(kit, t))["reason"] for t in ("eat", "huge", "store", "read_database")}
            assert (await outcome(kit, "flood"))["status"] == "done"
            assert processes_of(standin(kit)) == before
    assert reasons["eat"] == "MemoryError"
    assert "cannot be said in JSON" in reasons["huge"]
    assert "ctx.write takes a function" in reasons["store"]
    assert "self.context.database.read cannot be reached" in reasons["read_database"]
    printed = [line for line in logs if line["event"] == "printed"]
    assert 0 < len(printed) < 1000
    assert any(line["event"] == "a plugin prints too much" for line in logs)


async def test_processor_time_has_a_bound(tmp_path: Path) -> None:
    engine = ScriptedEngine(("spin", {}), otherwise=message("as ever"))
    table = ComponentTable(isolation="process", process_cpu_s=2)
    async with running_app(home=place(tmp_path, zoo=ZOO), engine=engine, components=tables(zoo=table)) as kit:
        await kit.interface.ask("spin")
        assert "used more than 2 s of processor time" in (await outcome(kit, "spin"))["reason"]


async def test_processor_time_of_what_has_ended_counts(tmp_path: Path) -> None:
    engine = ScriptedEngine(("spin_off", {}), otherwise=message("as ever"))
    async with running_app(home=place(tmp_path, zoo=ZOO), engine=engine) as kit:
        before = usage_below(guard_of(standin(kit)))
        said = await kit.interface.say("use it up")
        await kit.interface.ended(said, timeout_s=60)
        assert (await outcome(kit, "spin_off"))["status"] == "done"

        def counted() -> bool:
            after = usage_below(guard_of(standin(kit)))
            assert before is not None
            assert after is not None
            return after.processes == before.processes and after.cpu_s > before.cpu_s + 0.9

        await until(counted, "the guard to have taken notice of its end")


async def test_one_that_dies_again_and_again_is_put_into_quarantine(tmp_path: Path) -> None:
    engine = ScriptedEngine(otherwise=message("as ever"))
    pauses = []
    async with running_app(home=place(tmp_path, zoo=ZOO), engine=engine) as kit:
        for death in range(1, 6):
            os.kill(processes_of(standin(kit))[-1], signal.SIGKILL)
            wanted = ComponentState.DEGRADED if death < 5 else ComponentState.QUARANTINED
            await until(lambda s=wanted: zoo_of(kit).state is s, f"{wanted} after death {death}")  # type: ignore[misc]
            if death < 5:
                pauses.append(zoo_of(kit).reason.rpartition(" in ")[2])
                assert "pid" not in kit.app.registry.generation, "what is not healthy is not called"
                await kit.advance(2 ** (death - 1) + 0.1)
                await until(lambda: zoo_of(kit).state is ComponentState.ACTIVE, "the plugin to work again")
        assert "its process ended 5 times" in zoo_of(kit).reason
        assert "pid" not in kit.app.registry.generation
        assert "as ever" in await kit.interface.ask("hello")
    assert pauses == ["1 s", "2 s", "4 s", "8 s"]


async def test_what_is_kept_is_kept_over_a_death(tmp_path: Path) -> None:
    engine = ScriptedEngine(("count", {}), message("one"), ("leave", {}), message("gone"))
    async with running_app(home=place(tmp_path, zoo=ZOO), engine=engine) as kit:
        assert await kit.interface.ask("count") == ["one"]
        await kit.interface.ask("leave")
        await comes_back(kit)
        engine.then(("count", {}), message("two"))
        await kit.interface.ask("count")
        assert (await outcome(kit, "count"))["output"] == "2"


SERVING = """
import asyncio, sys
from pathlib import Path
from core.testing import ScriptedEngine, message, running_app
from tests.support.isolated_plugins import processes_of, standin

async def main():
    engine = ScriptedEngine(("fork", {}), otherwise=message("on"))
    async with running_app(home=Path(sys.argv[1]), engine=engine) as kit:
        before = len(processes_of(standin(kit)))
        await kit.interface.say("fork")
        while len(pids := processes_of(standin(kit))) < before + 20:
            await asyncio.sleep(0.01)
        print("PIDS", *pids, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_nothing_is_left_when_rekku_is_killed(tmp_path: Path) -> None:
    place(tmp_path, zoo=ZOO)
    command = [sys.executable, "-c", SERVING, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs in this loop
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as rekku:
        assert rekku.stdout is not None
        try:
            said = await asyncio.to_thread(lambda: next(line for line in rekku.stdout or () if "PIDS" in line))
            pids = [int(pid) for pid in said.split()[1:]]
            assert len(pids) >= 20
        finally:
            rekku.kill()
    await until(lambda: not any(map(alive, pids)), "all its processes to be gone")


async def test_no_secret_of_rekku_is_within_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canaries = {name: f"canary-{name}-5d1f0c" for name in ("environment", "setting", "neighbour", "own")}
    monkeypatch.setenv("OPENAI_API_KEY", canaries["environment"])
    own = ZOO.replace(
        "class Zoo(AIPluginBase):",
        "class Zoo(AIPluginBase):\n    class Config(BaseModel):\n        token: SecretStr\n",
    )
    place(tmp_path, zoo=f"from pydantic import BaseModel, SecretStr\n{own}")
    components: dict[str, Any] = tables(
        zoo=ComponentTable(values={"token": canaries["own"]}),
        dice=ComponentTable(values={"secret": canaries["neighbour"]}),
    )
    async with running_app(
        home=tmp_path, components=components, openai_api_key=SecretStr(canaries["setting"])
    ) as kit:
        *_, worker = processes_of(standin(kit))
        environment = environment_of(worker)
        held = memory_of(worker)
        assert kit.app.masker.text(f"it is {canaries['own']}") != f"it is {canaries['own']}"
    names = {entry.partition("=")[0] for entry in environment.split("\0") if entry}
    assert not any("KEY" in name or "REKKU" in name for name in names)
    assert "canary" not in environment
    assert {name for name, canary in canaries.items() if canary.encode() in held} == {"own"}


def environment_of(pid: int) -> str:
    """Return the environment that a process was started with."""
    return Path("/proc", str(pid), "environ").read_bytes().decode()


def memory_of(pid: int) -> bytes:
    """Return what a process has in memory that it can write to."""
    found = b""
    with Path("/proc", str(pid), "mem").open("rb") as memory:
        for line in Path("/proc", str(pid), "maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if "rw" in rights:
                begin, end = (int(one, 16) for one in place.split("-"))
                memory.seek(begin)
                found += memory.read(end - begin)
    return found


LOADING: Callable[..., Any] = test_registry_loading.test_a_broken_plugin_is_told_and_the_rest_runs
BROKEN = LOADING.pytestmark[0].args[1]  # type: ignore[attr-defined]
OUTRIGHT = [
    ("import os\nos._exit(4)", "import", "its process ended (exit 4)"),
    ("import ctypes\nctypes.string_at(0)", "import", "its process ended (signal 11)"),
]


async def test_a_broken_plugin_is_told_as_it_is_inside(tmp_path: Path) -> None:
    cases = [*BROKEN[::4], *OUTRIGHT]  # each is a process
    place(tmp_path, good=plugin_source("good_action"), **{f"bad{i}": source for i, (source, *_) in enumerate(cases)})
    outside = tables(good="process", **{f"bad{index}": "process" for index in range(len(cases))})
    async with running_app(home=tmp_path, components=outside) as kit:
        for index, (_, stage, reason) in enumerate(cases):
            bad = kit.app.registry.get("plugin", f"bad{index}")
            assert bad is not None
            assert (bad.state, bad.stage) == (ComponentState.FAILED, Stage(stage)), bad.reason
            assert reason.replace("bad.", f"bad{index}.").replace("bad ", f"bad{index} ") in bad.reason
            assert "\n" not in bad.reason
        assert "good_action" in kit.app.registry.generation
        assert not [c for c in kit.app.isolation._plugins if c.name.startswith("bad")]
