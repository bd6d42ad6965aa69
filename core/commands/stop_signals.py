"""SIGTERM and SIGINT: the first one asks to stop, a second one ends the process at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopAsked(Exception):
    """The process was asked to stop before what it waited for was done."""


class StopSignals:
    """Notes the first signal: `with StopSignals() as stop`, inside the event loop of the main thread."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.number = 0
        """The signal that asked, 0 as long as none did."""
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> StopSignals:
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.number:
            for number in SIGNALS:
                self._loop.remove_signal_handler(number)

    @property
    def status(self) -> int:
        """The exit status by convention: 128 and the signal, or 0 when none came."""
        return 128 + self.number if self.number else 0

    def listen(self) -> None:
        """Take the signals, also back from somebody who had them for a while."""
        for number in SIGNALS:
            if self.number:
                signal.signal(number, signal.SIG_DFL)
            else:
                self._loop.add_signal_handler(number, self._ask, number)

    async def unless_asked(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns; when a signal comes first, cancel it and raise StopAsked."""
        task = asyncio.ensure_future(work)
        await self.wait_for(task)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            raise StopAsked
        return await task

    async def wait_for(self, *tasks: asyncio.Future[Any], timeout_s: float | None = None) -> None:
        """Wait until one of the tasks is done, a signal has come or the time is over; cancels no task."""
        asked = asyncio.ensure_future(self.asked.wait())
        try:
            await asyncio.wait({asked, *tasks}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()

    def _ask(self, number: signal.Signals) -> None:
        self.number = number
        for each in SIGNALS:
            self._loop.remove_signal_handler(each)
            # Not by the loop: it may be what hangs.
            signal.signal(each, signal.SIG_DFL)
        self.asked.set()
