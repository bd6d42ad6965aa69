"""A question that may take long: asked once at a time, however many want to know, and none of them waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from core.contracts.services import Clock

T = TypeVar("T")


class Question(Generic[T]):
    """Asks by `ask()`, which tells failures as values.

    patience_s: how long one who wants to know waits. kept_s: for so long an answer is given again. A question that
    is not answered in time stays open, and no second one is put beside it: what hangs is not given more to do.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[T]], *, clock: Clock, patience_s: float, kept_s: float = 0.0
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._patience_s = patience_s
        self._kept_s = kept_s
        self._open: asyncio.Task[T] | None = None
        self._answered: tuple[float, T] | None = None

    async def answer(self) -> T | None:
        """Return the answer, None when there is none in time. Raises what `ask` raises."""
        if self._answered is not None and self._clock.monotonic() < self._answered[0] + self._kept_s:
            return self._answered[1]
        if self._open is None:
            self._open = asyncio.ensure_future(self._asked())
        open_one = self._open
        await asyncio.wait({open_one}, timeout=self._patience_s)
        return open_one.result() if open_one.done() else None

    async def _asked(self) -> T:
        try:
            answer = await self._ask()
            self._answered = (self._clock.monotonic(), answer)
            return answer
        finally:
            self._open = None

    def close(self) -> None:
        """Ask no longer."""
        if self._open is not None:
            self._open.cancel()
