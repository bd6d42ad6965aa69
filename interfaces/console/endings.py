"""Who waits for which turn to end."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from core.contracts.deliveries import Activity, ActivityKind

_EARLY_KEPT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a turn ended: "complete", "awaiting_approval", "aborted", "error", or "" when the wait was given up.

    not_done: the types of its actions that came to nothing. undelivered: why what it had to tell could not be sent.
    """

    result: str
    approval_ids: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()
    undelivered: str = ""


class Endings:
    """Matches the turns' ends with those who wait for them, in whichever order the two come."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Ending]] = {}
        # A turn may have ended before `receive` has told us its input's id.
        self._early: OrderedDict[int, Ending] = OrderedDict()
        self._closed = False

    async def wait(self, input_id: int) -> Ending:
        """Return how the turn of this input ended, once it has."""
        early = self._early.pop(input_id, None)
        if early is not None:
            return early
        if self._closed:
            return Ending(result="")
        future = self._waiting.setdefault(input_id, asyncio.get_running_loop().create_future())
        try:
            return await future
        finally:
            self._waiting.pop(input_id, None)

    def note(self, activity: Activity) -> None:
        """Take note of an activity; only ENDED matters here."""
        if activity.kind is not ActivityKind.ENDED:
            return
        ending = Ending(
            result=activity.result,
            approval_ids=activity.approval_ids,
            not_done=activity.not_done,
            undelivered=activity.undelivered,
        )
        future = self._waiting.get(activity.input_id)
        if future is None:
            self._early[activity.input_id] = ending
            if len(self._early) > _EARLY_KEPT:
                self._early.popitem(last=False)
        elif not future.done():
            future.set_result(ending)

    def close(self) -> None:
        """Give every wait up, now and from now on."""
        self._closed = True
        for future in self._waiting.values():
            if not future.done():
                future.set_result(Ending(result=""))
