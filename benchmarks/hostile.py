"""What one chat suffers while another has a hostile plugin called over and over, without a pause.

Before each stretch beside a plugin the same chat is measured undisturbed, so that both see the same machine. Failures
put nobody into quarantine here: the harm goes on for as long as it is measured. Blocks of the event loop do, as by
default; the stretches before and after are apart. `python -m benchmarks.hostile` measures this alone.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from benchmarks.chats import Chats
from benchmarks.conversations import SAID
from benchmarks.figures import Figure, percentile, table
from benchmarks.hostile_plugins import (
    Animal,
    BlocksLoop,
    BlocksOutside,
    BlocksThread,
    Exits,
    Floods,
    Kind,
    Leaks,
    Raises,
    Swallows,
)
from benchmarks.installation import settings_of
from benchmarks.server_process import ROOT, model_process
from core.app import App
from core.commands.startup import begin_starting, end_starting
from core.log import configure_log
from core.registry.component import ComponentState
from core.settings import WatchdogSettings
from core.storage.tables import ledger

WARM_UP = 100
"""Turns until the prompt has grown to its bound."""

ROUNDS = 5
ALONE = 9
LEAST_TURNS, MOST_TURNS, LEAST_S = 9, 100, 0.7
"""Of a stretch beside a plugin. It is short and comes often, since other work on the machine comes and goes."""

AT_MOST = 2
"""Times the latency without the plugin."""

NAMES = {
    "kind": "beside a plugin that does no harm",
    "raises": "beside one that raises",
    "swallows": "beside one that swallows cancellation",
    "blocks_thread": "beside one that blocks a worker thread",
    "leaks": "beside one that leaks tasks",
    "floods": "beside one that floods the standard output",
    "exits": "beside one that tries to exit",
    "blocks_outside": "beside one that blocks the loop of its own process",
}
BLOCKS_LOOP = "blocks_loop"
BLOCKED_ROUNDS = 2
MOST_BLOCKED_S = 60.0
"""Within that the third block comes, with the rests after the first and the second."""


@dataclass(slots=True)
class _Seen:
    """The seconds of the turns without a plugin and beside it."""

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)

    def figures(self, name: str) -> list[Figure]:
        """Return the latency beside the plugin, and its ratios with their target."""
        found = []
        for label, share in (("p50", 0.5), ("p95", 0.95)):
            alone, beside = percentile(self.alone, share), percentile(self.beside, share)
            found += [
                Figure(name=f"{name}: turn {label}", value=beside * 1e3, unit="ms"),
                Figure(
                    name=f"{name}: turn {label} to undisturbed", value=beside / alone, unit="times", at_most=AT_MOST
                ),
            ]
        return found


class _Neighbours:
    """The chat that is measured, and the one that has a plugin called."""

    def __init__(self, app: App, chats: Chats) -> None:
        self._app = app
        self._chats = chats
        self._said = 0

    async def turn(self) -> float:
        """Take one ordinary turn, and return its seconds."""
        self._said += 1
        return await self._chats.say("measured", SAID.format(number=self._said))

    async def turns(self, count: int) -> list[float]:
        """Take so many."""
        return [await self.turn() for _ in range(count)]

    async def stretch(self, until: Callable[[], bool] = lambda: False) -> list[float]:
        """Take the turns of one stretch, or those until something is true."""
        seconds: list[float] = []
        ends = time.perf_counter() + LEAST_S
        while len(seconds) < MOST_TURNS and not until():
            if len(seconds) >= LEAST_TURNS and time.perf_counter() >= ends:
                break
            seconds.append(await self.turn())
        return seconds

    @asynccontextmanager
    async def called(self, command: str) -> AsyncIterator[None]:
        """Have a plugin called over and over; at the end, wait for the last call and for what it left behind."""
        going_on = True

        async def call() -> None:
            while going_on:
                await self._chats.end_of("hostile", f"/{command}")

        calls = asyncio.create_task(call())
        try:
            yield
        finally:
            going_on = False
            await calls
            plugin = self._app.registry.get("plugin", command)
            if plugin is not None and isinstance(plugin.instance, Animal):
                plugin.instance.let_go()
            await self._app.drained()

    async def beside(self, command: str) -> _Seen:
        """Measure without a plugin and beside it, in turns."""
        seen = _Seen()
        for _ in range(ROUNDS):
            seen.alone += await self.turns(ALONE)
            async with self.called(command):
                seen.beside += await self.stretch()
        return seen

    async def beside_a_blocked_loop(self) -> list[Figure]:
        """Measure until the watchdog has the plugin quarantined, and afterwards, while its command goes on coming."""
        before, after, lasted = _Seen(), _Seen(), []
        for number in range(BLOCKED_ROUNDS):
            if number:
                await self._chats.end_of("trainer", f"/plugins enable {BLOCKS_LOOP}")
            if self._quarantined():
                raise RuntimeError(f"{BLOCKS_LOOP} is not in use.")
            alone = await self.turns(ALONE)
            before.alone += alone
            after.alone += alone
            began = time.perf_counter()
            async with self.called(BLOCKS_LOOP):
                while not self._quarantined() and time.perf_counter() - began < MOST_BLOCKED_S:
                    before.beside.append(await self.turn())
                if not self._quarantined():
                    raise RuntimeError(f"{BLOCKS_LOOP} was not quarantined.")
                lasted.append(time.perf_counter() - began)
                after.beside += await self.stretch()
        return [
            *before.figures("beside one that blocks the loop, before quarantine"),
            Figure(name="as long as it was in use: turns", value=len(before.beside), unit=""),
            Figure(name="as long as it was in use: longest turn", value=max(before.beside) * 1e3, unit="ms"),
            Figure(name="from its first call to its quarantine, p50", value=percentile(lasted, 0.5), unit="s"),
            *after.figures("beside one that blocks the loop, after quarantine"),
        ]

    def _quarantined(self) -> bool:
        plugin = self._app.registry.get("plugin", BLOCKS_LOOP)
        return plugin is None or plugin.state is ComponentState.QUARANTINED

    async def calls(self) -> Counter[str]:
        """Return how often each action was called, whatever became of it."""
        called = await self._app.database.read(lambda conn: conn.execute(select(ledger.c.action)).scalars().all())
        return Counter(called)


def hostile(home: Path, base_url: str) -> list[Figure]:
    """Measure beside each plugin, on one running app; what is printed meanwhile goes nowhere."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        return asyncio.run(_measured(home, base_url))


async def _measured(home: Path, base_url: str) -> list[Figure]:
    chats = Chats()
    plugins = [Kind(), Raises(), Swallows(), BlocksThread(), Leaks(), Floods(), Exits(), BlocksLoop(), BlocksOutside]
    settings = settings_of(home, base_url, watchdog=WatchdogSettings(failures_in_a_row=0))
    figures = []
    begin_starting()
    async with App(settings, interfaces=[chats], plugins=plugins, serve=()) as app:
        end_starting()  # as `rekku run` does
        neighbours = _Neighbours(app, chats)
        await neighbours.turns(WARM_UP)
        for command, name in NAMES.items():
            figures += (await neighbours.beside(command)).figures(name)
        figures += await neighbours.beside_a_blocked_loop()
        called = await neighbours.calls()
    if never := [command for command in (*NAMES, BLOCKS_LOOP) if not called[command]]:
        raise RuntimeError(f"Never called: {', '.join(never)}.")
    least = min(called[command] for command in NAMES)
    figures.append(Figure(name="calls of the least called of these plugins", value=least, unit=""))
    return figures


def main() -> None:
    """Measure this alone, and print it."""
    directory = ROOT / "build"
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix="bench-") as name, model_process() as base_url:
        configure_log("INFO", "console", Path(name) / "log")
        before, began = os.getloadavg()[0], time.perf_counter()
        figures = hostile(Path(name) / "hostile", base_url)
        took, after = time.perf_counter() - began, os.getloadavg()[0]
    print(table(figures))
    print(f"{took:.0f} s, cores {len(os.sched_getaffinity(0))}, load {before:.1f} before and {after:.1f} after")


if __name__ == "__main__":
    main()
