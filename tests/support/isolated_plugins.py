"""Plugins for processes of their own: a zoo that misbehaves on demand, and ways to look at its processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.isolation.standin import IsolatedPlugin
from core.services.process_guard import descendants_of
from core.settings import ComponentTable
from core.testing import RunningApp

WAIT_S = 30.0

ZOO = '''
import asyncio, ctypes, json, os, socket, sys, time

from core.ai_plugin_base import AIPluginBase, ActionContext, action, hook


class Zoo(AIPluginBase):
    isolation = "process"

    @action(effect="external", timeout_s=1)
    async def block(self) -> str:
        """Never let the event loop go."""
        while True:
            pass

    @action(effect="external", timeout_s=1)
    async def swallow(self) -> str:
        """Do not end when cancelled."""
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    @action(effect="external")
    async def leave(self) -> str:
        """End the process."""
        os._exit(3)

    @action(effect="external")
    async def crash(self) -> str:
        """End it by a wild pointer."""
        ctypes.string_at(0)

    @action(effect="external")
    async def eat(self) -> str:
        """Take more memory than there is."""
        return str(len(bytearray(1024 * 1024 * 1024)))

    @action(effect="external")
    async def eat_together(self) -> str:
        """Take it in several processes, each of which stays below the bound."""
        for _ in range(4):
            if os.fork() == 0:
                os.setsid()
                food = bytearray(os.urandom(1024)) * (100 * 1024)
                time.sleep(3600)
        while os.waitpid(-1, os.WNOHANG) == (0, 0):
            await asyncio.sleep(0.05)
        raise RuntimeError("the control group has ended one of them")

    @action(effect="external")
    async def flood(self) -> str:
        """Print without an end, nearly."""
        for _ in range(40):
            print(("x" * 99 + chr(10)) * 1000, flush=True)
        return "flooded"

    @action(effect="external")
    async def fork(self) -> str:
        """Start hundreds of processes, each in a session of its own."""
        for _ in range(300):
            if os.fork() == 0:
                os.setsid()
                time.sleep(3600)
        await asyncio.sleep(3600)

    @action(effect="read")
    async def huge(self) -> list[str]:
        """Return too much."""
        return ["x" * 4_000_000] * 3

    @action(effect="external")
    async def garble(self) -> str:
        """Write what is no protocol where the protocol is."""
        for name in os.listdir("/proc/self/fd"):
            link = "/proc/self/fd/" + name
            if int(name) > 2 and os.path.lexists(link) and os.readlink(link).startswith("socket:"):
                os.write(int(name), b"\\xff" * 64)
        await asyncio.sleep(3600)

    @action(effect="external")
    async def hold(self) -> str:
        """Go on for long, with three processes that have left the session."""
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                time.sleep(3600)
        await asyncio.sleep(3600)

    @action(effect="external")
    async def deaf(self) -> str:
        """Ask for much, and never read any of it."""
        connection = self.context.peer._connection
        connection.setblocking(True)
        sizes = [size for size in (1_000_000, 30_000, 1_000, 30, 0) for _ in range(60)]  # until nothing fits
        for number, size in enumerate(sizes):
            call = {"call": 1_000_000 + number, "name": "kv.get", "with": ["", "x" * size]}
            body = json.dumps(call).encode()
            connection.sendall(len(body).to_bytes(4, "big") + body)
        time.sleep(3600)

    @action(effect="external")
    async def hang_up(self) -> str:
        """Close the connection and live on, with a copy that holds its own end of it."""
        if os.fork() == 0:
            os.setsid()
            time.sleep(3600)
        self.context.peer._connection.shutdown(socket.SHUT_RDWR)
        time.sleep(3600)

    @action(effect="external", timeout_s=120)
    async def spin(self) -> str:
        """Use up the processor, politely."""
        while True:
            sum(range(10_000))
            await asyncio.sleep(0)

    @action(effect="external", timeout_s=60)
    async def spin_off(self) -> str:
        """Use up a second of it in a process that nobody waits for."""
        reading, writing = os.pipe()
        if os.fork() == 0:
            if os.fork() == 0:
                while time.process_time() < 1:
                    pass
            os._exit(0)
        os.wait()
        os.close(writing)
        await asyncio.to_thread(os.read, reading, 1)  # its end, when the last that holds the other end is gone
        return "spun"

    @action(effect="local")
    async def store(self, ctx: ActionContext) -> str:
        """Hand over a function."""
        ctx.write(lambda conn: None)
        return "stored"

    @action(effect="local")
    async def post(self, ctx: ActionContext, text: str) -> None:
        """Send a message."""
        ctx.send(text)

    @action(effect="read")
    async def read_database(self) -> str:
        """Reach for the database."""
        return await self.context.database.read(lambda conn: "rows")

    @action(effect="external")
    async def count(self) -> int:
        """Count in the store."""
        count = await self.context.kv.get("count", 0) + 1
        await self.context.kv.set("count", count)
        return count

    @action(effect="read")
    async def now(self) -> int:
        """Tell the time."""
        return self.context.clock.now_ms()

    @action(effect="read")
    async def pid(self) -> int:
        """Tell the process."""
        self.context.log.info("was asked", by="somebody")
        return os.getpid()


PLUGIN_CLASS = Zoo
'''


def place(home: Path, **sources: str) -> Path:
    """Write plugins into a home; return the home."""
    folder = home / "plugins"
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return home


def tables(**isolation: Any) -> dict[str, dict[str, ComponentTable]]:
    """Return settings for plugins: `dice="process"`, or a whole table."""
    made = {
        name: said if isinstance(said, ComponentTable) else ComponentTable(isolation=said)
        for name, said in isolation.items()
    }
    return {"plugins": made}


def standin(kit: RunningApp, name: str = "zoo") -> IsolatedPlugin:
    """Return what the registry has of an isolated plugin."""
    component = kit.app.registry.get("plugin", name)
    assert component is not None, name
    assert isinstance(component.instance, IsolatedPlugin), (component.state, component.reason)
    return component.instance


def guard_of(plugin: IsolatedPlugin) -> int:
    """Return the process above all those of a plugin that lives."""
    assert plugin._child is not None
    return plugin._child.process.pid


def processes_of(plugin: IsolatedPlugin) -> list[int]:
    """Return all processes of a plugin."""
    guard = guard_of(plugin)
    return [guard, *descendants_of(guard)]


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def until(true: Callable[[], bool], what: str) -> None:
    """Wait for what another process does; fails when it does not come."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not true():  # noqa: ASYNC110 - what other processes do sets no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited {WAIT_S:g} s for {what}") from None
