"""What an isolated plugin forks off has nothing to do with the protocol, whatever it does; forking still works."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.testing import ScriptedEngine, message, running_app
from tests.support.isolated_plugins import alive, place, processes_of, standin, until

FORKER = '''
import asyncio, multiprocessing, os, time

from core.ai_plugin_base import AIPluginBase, ActionContext, action


def square(number):
    return number * number


class Forker(AIPluginBase):
    isolation = "process"

    @action(effect="external", repeatable=True)
    async def go_on(self, ctx: ActionContext) -> list:
        """Fork in the event loop, and have the copy go on as if it were the plugin."""
        reading, writing = os.pipe()
        before = os.getpid()
        pid = os.fork()
        if pid == 0:
            own = os.readlink(f"/proc/self/fd/{self.context.peer._connection.fileno()}")
            os.write(writing, f"{own}: ".encode())
            self.context.log.warning("said by the copy")
            ctx.progress("shown by the copy")
            try:
                await self.context.kv.set("by", "the copy")
            except ConnectionError as error:
                os.write(writing, str(error).encode())
            await self.context.events.emit("copy.lives")
        os.close(writing)
        said = b""
        while True:
            chunk = os.read(reading, 1000)
            if not chunk:
                break
            said += chunk
        _, status = os.waitpid(pid, 0)
        return [said.decode(), os.waitstatus_to_exitcode(status), before == os.getpid()]

    @action(effect="external", repeatable=True)
    def go_on_in_a_thread(self, ctx: ActionContext) -> list:
        """Fork in a thread, and have the copy return."""
        pid = os.fork()
        if pid == 0:
            ctx.progress("shown by the copy")
            return ["the copy"]
        _, status = os.waitpid(pid, 0)
        return ["the plugin"]

    @action(effect="external", repeatable=True)
    async def loop_of_its_own(self) -> list:
        """Have the copy run an event loop of its own, and more."""
        pid = os.fork()
        if pid == 0:
            asyncio.run(asyncio.sleep(0.01))
            with open("/dev/null") as nothing:
                nothing.read()
            os._exit(7)
        _, status = os.waitpid(pid, 0)
        await asyncio.sleep(0)
        return [os.waitstatus_to_exitcode(status)]

    @action(effect="external", repeatable=True, timeout_s=20)
    def share_work(self) -> list:
        """Compute in processes that are forked off."""
        context = multiprocessing.get_context("fork")
        with context.Pool(2) as pool:
            squares = pool.map(square, range(5))
        queue = context.Queue()
        process = context.Process(target=lambda: queue.put(os.getpid()))
        process.start()
        other = queue.get(timeout=10)
        process.join(10)
        return [squares, other != os.getpid(), process.exitcode]

    @action(effect="external", repeatable=True)
    async def leave_behind(self) -> int:
        """Leave a copy behind that goes on for a while."""
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
        return pid

    @action(effect="read")
    async def ask(self) -> object:
        """Do what needs the protocol, both ways, and wait for a thread."""
        await self.context.kv.set("own", 1)
        answer = await asyncio.get_running_loop().run_in_executor(None, square, 3)
        return [answer, await self.context.kv.get("own"), await self.context.kv.get("by")]


PLUGIN_CLASS = Forker
'''

SAID = {
    "go_on": ["/dev/null: a process that a plugin has forked off cannot ask Rekku for anything", 70, True],
    "go_on_in_a_thread": ["the plugin"],
    "loop_of_its_own": [7],
    "share_work": [[0, 1, 4, 9, 16], True, 0],
}


@pytest.mark.parametrize("type_", SAID)
async def test_a_copy_says_nothing_and_the_plugin_goes_on(tmp_path: Path, type_: str) -> None:
    engine = ScriptedEngine(otherwise=message("as ever"))
    with capture_logs() as logs:
        async with running_app(home=place(tmp_path, forker=FORKER), engine=engine) as kit:
            family = processes_of(standin(kit, "forker"))
            for _ in range(3):
                acted = await kit.act(type_)
                assert (acted.status, acted.output) == ("done", SAID[type_]), acted.reason
                asked = await kit.act("ask")
                assert asked.output == [9, 1, None], asked.reason
            assert processes_of(standin(kit, "forker")) == family
    said = [line["event"] for line in logs]
    assert "said by the copy" not in said
    assert "a plugin's process ended" not in said


async def test_a_copy_that_is_left_behind_ends_with_the_plugin(tmp_path: Path) -> None:
    engine = ScriptedEngine(otherwise=message("as ever"))
    async with running_app(home=place(tmp_path, forker=FORKER), engine=engine) as kit:
        pids = [(await kit.act("leave_behind")).output for _ in range(3)]
        assert (await kit.act("ask")).output == [9, 1, None]
        assert all(map(alive, pids))
    await until(lambda: not any(map(alive, pids)), "its copies to be gone")
