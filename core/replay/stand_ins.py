"""What stands for the model, the platform and the time in a turn that is run again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from core.contracts.engine import EngineReply, EngineRequest, Source
from core.contracts.errors import EngineUnavailable
from core.engine_base import EngineBase
from core.interface_base import InterfaceBase
from core.replay.recording import RecordedReply
from core.services.clock import SystemClock

ENGINE = "replay"


class RecordedEngine(EngineBase):
    """Says again what was recorded, the replies of one step after those of another.

    unused: how many replies were not asked for: corrections that are not needed today. complaint: what it was asked
    to correct and has no correction of.
    """

    name = ENGINE

    def __init__(self, replies: Sequence[RecordedReply]) -> None:
        self._left = list(replies)
        self._step = -1
        self._unused = 0
        self.complaint = ""

    @property
    def unused(self) -> int:
        return self._unused + len(self._left)

    async def complete(self, request: EngineRequest) -> EngineReply:
        """Give the next reply; raises EngineUnavailable where none is recorded, as of what plugins ask."""
        if not request.catalogue and not request.actions:
            raise EngineUnavailable("What is asked beside the turn's own steps is not recorded.", retryable=False)
        last = request.messages[-1] if request.messages else None
        corrects = last is not None and last.source is Source.CORRECTION
        while self._left and not corrects and self._left[0].step == self._step:
            self._left.pop(0)
            self._unused += 1
        if not self._left or (corrects and self._left[0].step != self._step):
            self.complaint = last.content if last is not None and corrects else ""
            raise EngineUnavailable("The recording has no further reply.", retryable=False)
        reply = self._left.pop(0)
        self._step = reply.step
        return EngineReply(text=reply.text, finish_reason=reply.finish_reason, model=ENGINE)


class SilentPlatform(InterfaceBase):
    """A platform to which nothing is sent: what would be is looked up in the outbox."""

    def __init__(self, name: str) -> None:
        self.name = name


class ClockThen(SystemClock):
    """Goes on from an instant that has been. at_ms: UTC milliseconds."""

    def __init__(self, at_ms: int) -> None:
        self._behind_ms = time.time_ns() // 1_000_000 - at_ms

    def now_ms(self) -> int:
        """Return the time that it would be."""
        return super().now_ms() - self._behind_ms
