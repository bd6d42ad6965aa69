"""Who waits for which call to end, and what is sent to them meanwhile."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from core.contracts.outcomes import Outcome

_EARLY_KEPT = 256


class CallsInFlight:
    """Matches the ends of calls with those who wait, in whichever order the two come."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Outcome | None]] = {}
        # A call may have ended before `receive` has told us its input's id.
        self._early: OrderedDict[int, Outcome | None] = OrderedDict()
        self.begun = 0
        """How many calls are being made."""

    async def wait(self, input_id: int, timeout_s: float) -> Outcome | None:
        """Return how a call ended; None for one that got no turn. Raises TimeoutError."""
        if input_id in self._early:
            return self._early.pop(input_id)
        future = self._waiting.setdefault(input_id, asyncio.get_running_loop().create_future())
        try:
            return await asyncio.wait_for(asyncio.shield(future), timeout_s)
        finally:
            if self._waiting.get(input_id) is future:
                del self._waiting[input_id]

    def ended(self, input_id: int, outcome: Outcome | None) -> None:
        """Note an end."""
        future = self._waiting.get(input_id)
        if future is not None and not future.done():
            future.set_result(outcome)
            return
        self._early[input_id] = outcome
        if len(self._early) > _EARLY_KEPT:
            self._early.popitem(last=False)
