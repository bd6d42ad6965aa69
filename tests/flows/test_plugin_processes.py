"""Background jobs and sidecars of plugins: kept by the host, and gone with their plugin."""

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
from structlog.testing import capture_logs

from core.ai_plugin_base import AIPluginBase
from core.contracts.errors import RekkuError
from core.contracts.processes import JobState
from core.contracts.services import PluginContext
from core.testing import RunningApp, running_app

ROOT = Path(__file__).parents[2]
PATIENCE = 500
SLEEPER = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); print('up', flush=True); time.sleep(600)"


class Owner(AIPluginBase):
    """Has jobs and sidecars."""

    name = "owner"

    async def start(self) -> None:
        """Be a plugin."""


def context(kit: RunningApp) -> PluginContext:
    component = kit.app.registry.get("plugin", "owner")
    assert component is not None
    found: PluginContext = component.instance.context
    return found


async def until(holds: Callable[[], object]) -> None:
    for _ in range(PATIENCE):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that")


def ended(kit: RunningApp) -> list[dict[str, Any]]:
    return [r.event.data for r in kit.app.events.history.listing() if r.event.name == "job.ended"][::-1]


async def test_jobs_end_with_an_event() -> None:
    async with running_app(plugins=[Owner()]) as kit:
        jobs = context(kit).jobs

        async def good() -> dict[str, int]:
            return {"loaves": 2}

        async def bad() -> None:
            raise ValueError("burnt")

        async def large() -> str:
            return "x" * 100_000

        started = [jobs.start(good, "good"), jobs.start(bad, "bad"), jobs.start(large, "large")]
        assert all(job.state is JobState.RUNNING for job in started)
        await until(lambda: len(ended(kit)) == 3)
        by_name = {one["name"]: one for one in ended(kit)}
        assert (by_name["good"]["state"], by_name["good"]["result"]) == ("done", {"loaves": 2})
        assert (by_name["bad"]["state"], by_name["bad"]["error"]) == ("failed", "ValueError: burnt")
        assert "65536 bytes" in by_name["large"]["error"]
        assert started[0].result == {"loaves": 2}
        assert list(jobs.running()) == []


async def test_jobs_are_bounded_and_end_with_their_plugin() -> None:
    async with running_app(plugins=[Owner()]) as kit:
        jobs = context(kit).jobs
        started = [jobs.start(lambda: asyncio.sleep(600), f"{n}") for n in range(20)]
        with pytest.raises(RekkuError, match="20 jobs"):
            jobs.start(lambda: asyncio.sleep(600), "one more")
        started[0].cancel()
        await until(lambda: started[0].state is JobState.CANCELLED)
        await kit.interface.ask("/plugins disable owner")
        assert {job.state for job in started} == {JobState.CANCELLED}
        with pytest.raises(RekkuError, match="has been stopped"):
            jobs.start(lambda: asyncio.sleep(0), "late")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc: run it on Linux")


@linux
async def test_a_sidecar_sees_no_secret_is_started_again_and_ends_with_its_plugin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    async with running_app(plugins=[Owner()]) as kit:
        sidecar = await context(kit).sidecar([sys.executable, "-c", SLEEPER], name="server", env={"MINE": "1"})
        first = sidecar.pid
        assert first is not None
        await until(lambda: children(first))
        environment = await asyncio.to_thread(Path(f"/proc/{first}/environ").read_bytes)
        assert b"canary" not in environment
        assert b"MINE=1" in environment
        (grandchild,) = children(first)
        os.kill(first, signal.SIGKILL)
        await until(lambda: sidecar.restarts == 1 and sidecar.pid)
        assert not alive(grandchild), "what it left behind went with it"
        second = sidecar.pid
        assert second is not None
        assert second != first
        await kit.interface.ask("/plugins disable owner")
        assert not alive(second)
        assert sidecar.pid is None


SCATTERED = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
elif os.fork() != 0:
    pass
with open(sys.argv[1], "a") as pids:
    pids.write(f"{os.getpid()}\\n")
time.sleep(600)
"""
KEEPING = """
import asyncio, sys
from core.ai_plugin_base import AIPluginBase
from core.testing import running_app

class Owner(AIPluginBase):
    name = "owner"

    async def start(self):
        argv = [sys.executable, "-c", sys.argv[1], sys.argv[2]]
        await self.context.sidecar(argv, name="server")

async def main():
    async with running_app(plugins=[Owner()]):
        await asyncio.sleep(600)

asyncio.run(main())
"""


@linux
@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_nothing_that_one_has_started_is_left(tmp_path: Path, how: str) -> None:
    """Neither its children nor what has left its session, also when Rekku itself is killed."""
    listed = tmp_path / "pids"

    def started() -> list[int]:
        return [int(line) for line in listed.read_text().split()] if listed.exists() else []

    if how == "stopped":
        async with running_app(plugins=[Owner()]) as kit:
            argv = [sys.executable, "-c", SCATTERED, str(listed)]
            sidecar = await context(kit).sidecar(argv, name="server")
            await until(lambda: len(started()) == 3)
            assert sidecar.pid in started()
            await sidecar.stop()
            assert not any(map(alive, started()))
        return
    command = [sys.executable, "-c", KEEPING, SCATTERED, str(listed)]
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs in this loop
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    ) as rekku:
        try:
            await until(lambda: len(started()) == 3)
        finally:
            rekku.kill()
    await until(lambda: not any(map(alive, started())))


@linux
async def test_one_that_is_not_ready_or_not_there_is_told() -> None:
    async with running_app(plugins=[Owner()]) as kit:
        with pytest.raises(RekkuError, match="there is no no-such-program"):
            await context(kit).sidecar(["no-such-program"], name="missing")

        async def never() -> bool:
            return False

        with pytest.raises(RekkuError, match="not ready within"):
            await context(kit).sidecar(["sleep", "600"], name="slow", ready=never, ready_timeout_s=0.3)
        with pytest.raises(ValueError, match="argv"):
            await context(kit).sidecar("sleep 600", name="text")


DYING = "import sys, time; [print('line', n, flush=True) for n in range(60)]; sys.exit('no such port')"


@linux
async def test_one_whose_plugin_is_released_while_it_starts_ends() -> None:
    async with running_app(plugins=[Owner()]) as kit:
        before = children(os.getpid())
        starting = asyncio.ensure_future(context(kit).sidecar([sys.executable, "-c", SLEEPER], name="server"))
        await asyncio.sleep(0)
        await kit.app.host.release_context("plugin", "owner")
        with pytest.raises(RekkuError, match="has been stopped"):
            await starting
        await until(lambda: children(os.getpid()) == before)


@linux
async def test_ready_that_raises_is_not_yet() -> None:
    async with running_app(plugins=[Owner()]) as kit:
        asked: list[int] = []

        async def answers() -> bool:
            asked.append(1)
            if len(asked) < 3:
                raise ConnectionRefusedError("nobody listens")
            return True

        def never() -> bool:
            raise ConnectionRefusedError("nobody listens at all")

        sidecar = await context(kit).sidecar([sys.executable, "-c", SLEEPER], name="server", ready=answers)
        assert sidecar.pid is not None
        assert len(asked) == 3
        with pytest.raises(RekkuError, match=r"not ready within 0\.3 s.*nobody listens at all"):
            await context(kit).sidecar(["sleep", "600"], name="slow", ready=never, ready_timeout_s=0.3)


@linux
async def test_the_last_words_of_one_that_ends_are_told() -> None:
    async def never() -> bool:
        return False

    async with running_app(plugins=[Owner()]) as kit:
        with capture_logs() as lines, pytest.raises(RekkuError) as refused:
            await context(kit).sidecar([sys.executable, "-c", DYING], name="dying", ready=never)
        (ended,) = (line for line in lines if line["event"] == "a sidecar ended")
    assert "ended before it was ready: exit status 1" in str(refused.value)
    assert str(refused.value).endswith("line 58 | line 59 | no such port")
    assert ended["last_lines"][-2:] == ["line 59", "no such port"]
    assert len([line for line in lines if line["event"] == "printed"]) < 60, "the log itself stays bounded"


@linux
async def test_what_one_prints_while_it_is_stopped_is_logged() -> None:
    farewell = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'farewell\\n'), os._exit(0)))\n"
        "print('up', flush=True)\ntime.sleep(600)"
    )
    async with running_app(plugins=[Owner()]) as kit:
        with capture_logs() as lines:
            sidecar = await context(kit).sidecar([sys.executable, "-c", farewell], name="polite")
            await until(lambda: "up" in [line.get("text") for line in lines])
            await sidecar.stop()
        assert "farewell" in [line.get("text") for line in lines]


async def test_a_job_that_is_called_already_is_refused_at_once() -> None:
    async with running_app(plugins=[Owner()]) as kit:

        async def work() -> str:
            return "done"

        with pytest.raises(TypeError, match=r"not what it returns, as self.work\(\)"):
            context(kit).jobs.start(work(), "work")  # type: ignore[arg-type]
        assert context(kit).jobs.running() == []
