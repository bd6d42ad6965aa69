"""Checks of a component that lives: started and stopped twice, and nothing of it left."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from core.app import App
from core.conformance.call_watch import BLOCKING, CallWatch
from core.conformance.findings import Findings
from core.conformance.leftovers import Snapshot, settled, snapshot
from core.contracts.deliveries import Health
from core.contracts.errors import RekkuError
from core.contracts.inputs import Accepted, Input
from core.registry.component import Component
from core.services.foreign import Raised
from core.services.sync_or_async import invoke

START_S = 30.0
STOP_S = 10.0
LONGEST_BUSY_S = 0.5
"""Processor time, in seconds, that a component may keep the loop busy for at one go."""

_BEAT_S = 0.01


@dataclass(slots=True, kw_only=True)
class Life:
    """The life of one component under watch. kept: places of the home that are its own or the host's."""

    app: App
    component: Component
    watch: CallWatch
    found: Findings
    home: Path
    kept: tuple[Path, ...]
    before: Snapshot | None = None

    async def start(self, round_: str) -> bool:
        """Give the component its context and start it; returns False when that failed."""
        kind, name = self.component.kind, self.component.name
        self.before = snapshot(self.home, self.kept)
        instance = self.component.instance
        try:
            instance.context = self.app.host.make_context(kind, name)
        except AttributeError:
            self.found.fail("start", "It takes no self.context.", "Do not define __slots__ without context.")
            return False
        call = getattr(instance, "start", None)
        if call is None:
            return True
        arguments = (_received,) if kind == "interface" else ()
        async with self.observed("start"):
            answer = await self.app.foreign.call(f"{name}.start", lambda: invoke(call, *arguments), START_S)
        if isinstance(answer, Raised):
            cure = "With an empty configuration it should start, or tell by configured() what is missing."
            if answer.where and not isinstance(answer.error, RekkuError | KeyError):
                cure = "Mend that line; what it cannot do without, configured() can tell."
            self.found.fail("start", f"The {round_} start failed: {answer.sentence}.", cure, answer.where)
            await self.stop(round_)
            return False
        return True

    async def health(self) -> None:
        """Ask how it is."""
        call = getattr(self.component.instance, "health", None)
        if call is None:
            return
        async with self.observed("health"):
            answer = await self.app.foreign.call("health", lambda: invoke(call), STOP_S)
        if isinstance(answer, Raised):
            self.found.fail("health", f"health raised {answer.sentence}.", "Return Health(ok=False, detail=…).")
        elif not isinstance(answer.value, Health):
            self.found.fail("health", f"health returned a {type(answer.value).__name__}.", "Return Health(ok=True).")

    async def stop(self, round_: str) -> None:
        """Stop the component, take its context back, and look for what is left."""
        kind, name = self.component.kind, self.component.name
        call = getattr(self.component.instance, "stop", None)
        if call is not None:
            async with self.observed("stop"):
                answer = await self.app.foreign.call(f"{name}.stop", lambda: invoke(call), STOP_S)
            if isinstance(answer, Raised):
                cure = "It is also called after a start that failed half-way: give back only what was taken."
                self.found.fail("stop", f"The {round_} stop failed: {answer.sentence}.", cure)
        await self.app.host.release_context(kind, name)
        self.app.host.services.withdraw(name)
        if self.before is not None:
            for what, cure in await settled(self.before, self.home, self.kept):
                self.found.fail("nothing left", f"{what} is left after the {round_} stop.", cure)

    @contextlib.asynccontextmanager
    async def observed(self, phase: str) -> AsyncIterator[None]:
        """Watch what is called meanwhile, and how long the loop is kept busy."""
        self.watch.phase = phase
        beats = asyncio.ensure_future(_longest_busy_s())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            self.watch.phase = ""
            await asyncio.sleep(2 * _BEAT_S)
            beats.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beats
            if (busy_s := _BUSY.pop(beats, 0.0)) > LONGEST_BUSY_S:
                self.found.warn(
                    "blocking",
                    f"{phase} kept the event loop busy for {busy_s:.1f} s: nobody is served meanwhile.",
                    "Compute in await asyncio.to_thread(…).",
                )
            for call in self.watch.during(phase):
                if call.on_loop and call.event in BLOCKING:
                    tell = self.found.warn if call.event == "open" else self.found.fail
                    tell(
                        "blocking",
                        f"{phase} calls {call.what} on the event loop: nobody is served meanwhile.",
                        "Use asyncio's own, or await asyncio.to_thread(…).",
                        call.where,
                    )


_BUSY: dict[asyncio.Future[None], float] = {}


async def _longest_busy_s() -> None:
    """Note the most processor time that the loop's thread has used between two of its turns."""
    task = asyncio.current_task()
    assert task is not None
    last_s = time.thread_time()
    while True:
        await asyncio.sleep(_BEAT_S)
        now_s = time.thread_time()
        _BUSY[task] = max(_BUSY.get(task, 0.0), now_s - last_s)
        last_s = now_s


async def _received(input: Input) -> Accepted:
    """Stand for the app: take whatever an interface hands in."""
    return Accepted(input_id=1, duplicate=False)
