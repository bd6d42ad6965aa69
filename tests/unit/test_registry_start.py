"""Starting and stopping plugins: order, deadlines, and that what fails leaves nothing behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.contracts.errors import DeclarationError, ServiceMissing
from core.registry.component import ComponentState, Stage
from core.registry.components import Registry
from core.registry.start_order import start_order
from tests.support.plugin_files import (
    component,
    found_in,
    loaded,
    make_registry,
    plugin_source,
    states,
    write_files,
)

LOGGED = """
async def start(self):
    self.context.services.provide("log_" + self.context.name, [])
    LOG.append("start " + self.context.name)
async def stop(self):
    LOG.append("stop " + self.context.name)
"""
HEAD = "import sys\nLOG = sys.modules.setdefault('rekku_test_log', [])"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the plugins of a test note, in order."""
    lines: list[str] = []
    monkeypatch.setitem(__import__("sys").modules, "rekku_test_log", lines)
    return lines


def requiring(name: str, *requires: str) -> str:
    return plugin_source(f"{name}_action", head=HEAD, body=f"requires = {requires!r}\n{LOGGED.strip()}")


async def test_requirements_start_first_and_stops_run_in_reverse(tmp_path: Path, log: list[str]) -> None:
    files = {"a.py": requiring("a", "c"), "b.py": requiring("b"), "c.py": requiring("c", "d"), "d.py": requiring("d")}
    registry = await loaded(tmp_path, files)
    assert log == ["start b", "start d", "start c", "start a"]
    assert list(registry.generation) == ["a_action", "b_action", "c_action", "d_action"]
    log.clear()
    await registry.stop_plugins()
    assert log == ["stop a", "stop c", "stop d", "stop b"]
    assert set(states(registry).values()) == {"stopped"}
    assert len(registry.generation) == 0


async def test_a_circle_and_what_needs_it_fail_alone(tmp_path: Path, log: list[str]) -> None:
    files = {
        "a.py": requiring("a", "b"),
        "b.py": requiring("b", "c"),
        "c.py": requiring("c", "b"),
        "d.py": requiring("d", "nowhere"),
        "e.py": requiring("e", "d"),
        "f.py": requiring("f"),
    }
    registry = await loaded(tmp_path, files)
    reasons = {c.name: c.reason for c in registry.components() if c.stage is Stage.REQUIREMENT}
    assert reasons == {
        "a": "a requires b, which stands in a circle: b requires c requires b.",
        "b": "b requires c requires b: a circle.",
        "c": "c requires b requires c: a circle.",
        "d": "d requires nowhere: there is no such plugin.",
        "e": "e requires d, which requires nowhere: there is no such plugin.",
    }
    assert log == ["start f"]


async def test_what_requires_a_plugin_that_failed_is_told_why(tmp_path: Path, log: list[str]) -> None:
    broken = plugin_source("b_action", body="async def start(self):\n    raise OSError('no disk')")
    files = {"a.py": requiring("a", "b"), "b.py": broken, "c.py": requiring("c", "d"), "d.py": "1/0"}
    registry = await loaded(tmp_path, files)
    assert component(registry, "b").reason == "OSError: no disk (b.py, line 9)"
    assert component(registry, "a").reason == "a requires b: failed (OSError: no disk (b.py, line 9))."
    assert component(registry, "c").reason.startswith("c requires d: failed (ZeroDivisionError: division by zero")
    assert log == []


FAILING_HEAD = f"{HEAD}\nfrom core.core_initializer import register_plugin"
FAILING = """
@hook("extend_system_prompt")
async def shout(self, turn, prompt):
    return prompt.upper()

async def start(self):
    self.context.services.provide("half", self)
    LOG.append("start")
    raise RuntimeError("half-way")

async def stop(self):
    LOG.append("stop")
    raise RuntimeError("and again")
"""


async def test_a_start_that_raises_leaves_nothing_registered(tmp_path: Path, log: list[str]) -> None:
    released: list[tuple[str, str]] = []

    async def release(kind: str, name: str) -> None:
        released.append((kind, name))

    registry = make_registry(release=release)
    files = {"bad.py": plugin_source("x", head=FAILING_HEAD, body=FAILING, keywords=', command="x"')}
    await registry.load("plugin", found_in(write_files(tmp_path, files)))
    await registry.start_plugins()
    bad = component(registry, "bad")
    assert (bad.state, bad.stage) == (ComponentState.FAILED, Stage.START)
    assert bad.reason.startswith("RuntimeError: half-way (bad.py, line ")
    assert log == ["start", "stop"]
    assert released == [("plugin", "bad")]
    assert len(registry.generation) == 0
    assert registry.generation.commands == {}
    assert registry.hooks == ()
    with pytest.raises(ServiceMissing):
        registry.services.require("other", "half")
    await registry.stop_plugins()
    assert log == ["start", "stop"]


@pytest.mark.parametrize(
    "start",
    [
        "async def start(self):\n    import asyncio\n    await asyncio.sleep(30)",
        "def start(self):\n    import threading\n    threading.Event().wait(20)",
    ],
)
async def test_a_start_that_hangs_is_given_up(tmp_path: Path, start: str) -> None:
    files = {"a.py": plugin_source("a_action", body=start), "b.py": plugin_source("b_action")}
    registry = await loaded(tmp_path, files, timeout_s=0.05)
    assert component(registry, "a").reason == "TimeoutError: a.start took longer than 0.05 s"
    assert list(registry.generation) == ["b_action"]


async def test_a_start_that_ends_the_process_fails(tmp_path: Path) -> None:
    files = {"a.py": plugin_source("x", body="async def start(self):\n    raise SystemExit(1)")}
    registry = await loaded(tmp_path, files)
    assert component(registry, "a").reason.startswith("RuntimeError: it tried to end the process")


async def test_a_stop_that_hangs_holds_up_nobody(tmp_path: Path, log: list[str]) -> None:
    stop = "async def stop(self):\n    import asyncio\n    await asyncio.sleep(30)"
    registry = await loaded(tmp_path, {"a.py": requiring("a"), "b.py": plugin_source("x", body=stop)}, timeout_s=0.05)
    await registry.stop_plugins()
    assert log == ["start a", "stop a"]


async def test_a_cancelled_start_is_stopped_with_the_others(tmp_path: Path, log: list[str]) -> None:
    body = """
    async def start(self):
        import asyncio
        LOG.append("begun")
        await asyncio.sleep(30)
    async def stop(self):
        LOG.append("stop")
    """
    registry = await loaded(tmp_path, {"a.py": plugin_source("x", head=HEAD, body=body)}, start=False)
    starting = asyncio.create_task(registry.start_plugins())
    for _ in range(1000):
        if log:
            break
        await asyncio.sleep(0.001)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert len(registry.generation) == 0
    await registry.stop_plugins()
    assert log == ["begun", "stop"]


async def test_each_start_makes_a_generation_and_old_ones_stay(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"a.py": plugin_source("one"), "b.py": plugin_source("two")})
    pinned = registry.generation
    assert pinned.number == 2
    await registry.stop_plugins()
    assert set(pinned) == {"one", "two"}
    assert registry.generation.number > pinned.number


async def test_quarantine_takes_actions_and_hooks_out_of_use(tmp_path: Path, log: list[str]) -> None:
    body = f"@hook('extend_system_prompt')\nasync def say(self, turn, prompt):\n    return None\n{LOGGED.strip()}"
    registry = await loaded(tmp_path, {"a.py": plugin_source("x", head=HEAD, body=body)})
    assert len(registry.hooks) == 1
    registry.withhold(component(registry, "a"), ComponentState.QUARANTINED, "It blocked the event loop three times.")
    assert len(registry.generation) == 0
    assert len(registry.hooks) == 0
    await registry.stop_plugins()
    assert log == ["start a", "stop a"]


async def test_a_degraded_plugin_is_not_called_and_comes_back(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"a.py": plugin_source("x")})
    plugin = component(registry, "a")
    pinned = registry.generation["x"]
    await registry.stop_plugin(plugin, ComponentState.DEGRADED, "The service is away.")
    assert plugin.state.value == "degraded"
    assert list(registry.generation) == []
    assert "The service is away" in pinned.withdrawn
    assert str(await registry.start_plugin(plugin, lambda: _says("still away"))) == "still away"
    assert list(registry.generation) == []
    assert await registry.start_plugin(plugin, lambda: _says("")) is None
    assert plugin.state.value == "active"
    assert pinned.withdrawn == ""


async def _says(text: str) -> str:
    return text


async def test_a_service_is_found_and_withdrawn_with_its_plugin(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"a.py": requiring("a"), "b.py": requiring("b", "a")})
    mine = registry.services.view("test")
    assert mine.require("log_a") == []
    with pytest.raises(DeclarationError, match="which a already provides"):
        mine.provide("log_a", 1)
    registry.fail(component(registry, "a"), Stage.START, "It broke.")
    with pytest.raises(ServiceMissing, match="test asks for the service log_a"):
        mine.require("log_a")
    assert list(registry.generation) == ["b_action"]


def test_the_order_is_the_load_order_where_nothing_is_required() -> None:
    names = [f"p{n}" for n in range(30)]
    assert start_order({name: [] for name in names}, {}).order == tuple(names)


def test_a_plugin_that_requires_itself_is_a_circle() -> None:
    assert start_order({"a": ["a"]}, {}).failures == {"a": "a requires a: a circle."}


def test_nothing_to_start() -> None:
    registry: Registry = make_registry()
    asyncio.run(registry.start_plugins())
    assert registry.generation.number == 0
