"""A console with a scripted core behind it, to be run in a terminal: `python -m tests.support.console_session DIR`.

What it answers: "long" runs until `/stop`, "hostile" answers with escape sequences, "edited" shows a line
that nobody says, everything else is repeated.
SIGUSR1 makes it deliver a reminder, SIGTERM makes it stop.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from core.contracts.deliveries import Activity, ActivityKind, Part
from core.contracts.inputs import Accepted, Address, Input
from core.contracts.services import PluginContext
from interfaces.console import ConsoleInterface

ADDRESS = Address("console", "local")
HOSTILE = "\x1b]52;c;aGFoYQ==\x07 \x1b]0;owned\x07 \x1b[2J &#27;[31m <http://a/%1b]0;owned%07> \x9b2J \x07end"
REMINDER = "**Reminder:** take the cake out"


class LoopClock:
    """The event loop's clock."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class Context:
    """As much of a context as a console needs."""

    data_directory: Path
    clock: LoopClock = field(default_factory=LoopClock)


class ScriptedCore:
    """Receives inputs and runs their turns as the core would: STARTED, deliveries, ENDED; one after the other."""

    def __init__(self, console: ConsoleInterface) -> None:
        self._console = console
        self._inbox: asyncio.Queue[tuple[int, Input]] = asyncio.Queue()
        self._stop = asyncio.Event()
        self._ids = iter(range(1, 10_000))

    async def receive(self, input_: Input) -> Accepted:
        """Take an input; `/stop` passes the others by."""
        id_ = next(self._ids)
        if input_.text == "/stop":
            self._stop.set()
        else:
            self._inbox.put_nowait((id_, input_))
        return Accepted(input_id=id_, duplicate=False)

    async def say(self, text: str) -> None:
        """Deliver a message."""
        await self._console.send(Part(address=ADDRESS, text=text))

    async def run(self) -> None:
        """Run the turns."""
        while True:
            id_, input_ = await self._inbox.get()
            await self._show(ActivityKind.STARTED, id_)
            result = "complete"
            if input_.text == "long":
                await self._show(ActivityKind.PROGRESS, id_, "counting sheep")
                await self._stop.wait()
                result = "aborted"
                await self.say("Stopped.")
            elif input_.text == "hostile":
                await self.say(HOSTILE)
                print("a stray \x1b[31mline\x1b[0m \x1b]0;owned\x07", "in pieces")
            elif input_.text == "edited":
                await self._console.notice("(watch) greet was \x1b[2Jreloaded.")
            else:
                await self.say(f"You said: {input_.text!r}")
            self._stop.clear()
            await self._console.activity(
                Activity(kind=ActivityKind.ENDED, address=ADDRESS, input_id=id_, result=result)
            )

    async def _show(self, kind: ActivityKind, id_: int, text: str = "") -> None:
        await self._console.activity(Activity(kind=kind, address=ADDRESS, input_id=id_, text=text))


async def converse(data_directory: Path) -> None:
    """Hold one conversation."""
    console = ConsoleInterface()
    console.context = cast(PluginContext, Context(data_directory))
    console.banner = "This is a test."
    console.mentions = lambda: {"shed": "what is in the shed", "Shop": "what is for sale"}
    console.commands = lambda: {"help": "what I can do", "hello": "say hello", "stop": "stop the turn"}
    core = ScriptedCore(console)
    await console.start(core.receive)
    loop = asyncio.get_running_loop()
    jobs: list[asyncio.Task[Any]] = [asyncio.create_task(core.run())]
    loop.add_signal_handler(signal.SIGUSR1, lambda: jobs.append(loop.create_task(core.say(REMINDER))))
    loop.add_signal_handler(signal.SIGTERM, lambda: jobs.append(loop.create_task(console.stop())))
    await console.run_interactive()
    print("It ended well.")
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(converse(Path(sys.argv[1])))
