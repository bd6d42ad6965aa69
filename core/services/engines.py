"""The engines of an installation: which ones are asked, in which order, started when they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from core.contracts.engine import EngineReply, EngineRequest, PromptMessage
from core.contracts.errors import EngineError, EngineTimeout, EngineUnavailable
from core.engine_base import EngineBase
from core.services.figures import Figures
from core.services.foreign import ForeignCalls, Raised
from core.services.mask import Masker

log = structlog.get_logger("rekku.engines")

START_DEADLINE_S = 30.0
TOLD_EVERY_S = 60.0
"""How often the same failure of an engine is logged."""


class EngineHandle:
    """One engine, asked through a deadline of our own; see `core.turn.stages.ask_engine.AskableEngine`."""

    def __init__(
        self, name: str, engine: EngineBase, foreign: ForeignCalls, masker: Masker, figures: Figures
    ) -> None:
        self.name = name
        self.engine = engine
        self._foreign = foreign
        self._masker = masker
        self._figures = figures
        self._starting = asyncio.Lock()
        self._started = False
        self._failed, self._told_at, self._since_told = "", 0.0, 0

    async def ready(self, timeout_s: float = START_DEADLINE_S) -> None:
        """Start the engine unless it is, within `timeout_s` seconds; raises EngineUnavailable."""
        if self._started:
            return
        async with self._starting:
            if self._started:
                return
            longest_s = min(timeout_s, START_DEADLINE_S)
            outcome = await self._foreign.call(f"start of engine {self.name}", self.engine.start, longest_s)
            if isinstance(outcome, Raised):
                raise EngineUnavailable(f"The engine {self.name} cannot start: {outcome.sentence}", retryable=False)
            self._started = True

    async def ask(self, request: EngineRequest, timeout_s: float) -> EngineReply:
        """Ask once; raises EngineError, never later than after `timeout_s` seconds and a grace."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            reply = await self._ask(request, timeout_s)
        except EngineError as error:
            self._figures.engine_failed(self.name, loop.time() - began, error)
            self._tell(self._masker.text(error.explain()), loop.time())
            raise
        if self._failed:
            log.info("the engine answers again", engine=self.name, failures=self._since_told)
            self._failed, self._since_told = "", 0
        self._figures.engine_answered(self.name, loop.time() - began, reply.usage)
        return reply

    def _tell(self, error: str, now_s: float) -> None:
        """Log that it did not answer: of the same error one line a minute, with how many there were since."""
        self._since_told += 1
        if error == self._failed and now_s - self._told_at < TOLD_EVERY_S:
            log.debug("the engine did not answer", engine=self.name, error=error)
            return
        log.warning("the engine did not answer", engine=self.name, error=error, failures=self._since_told)
        self._failed, self._told_at, self._since_told = error, now_s, 0

    async def _ask(self, request: EngineRequest, timeout_s: float) -> EngineReply:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        try:
            async with asyncio.timeout(timeout_s):  # somebody else may be starting it
                await self.ready(timeout_s)
        except TimeoutError:
            raise EngineUnavailable(f"The engine {self.name} did not start in time.", retryable=False) from None
        masked = replace(
            request,
            instructions=self._masker.text(request.instructions),
            messages=tuple(map(self._masked, request.messages)),
        )
        left_s = max(until - loop.time(), 0.0)
        outcome = await self._foreign.call(f"engine {self.name}", lambda: self.engine.complete(masked), left_s)
        if not isinstance(outcome, Raised):
            reply = outcome.value
            if isinstance(reply, EngineReply) and isinstance(reply.text, str):
                return reply
            raise EngineUnavailable(f"It answered with a {type(reply).__name__} that holds no text.", retryable=False)
        if outcome.timed_out:
            raise EngineTimeout(f"There was no answer within {timeout_s:.0f} s.")
        if isinstance(outcome.error, EngineError):
            raise outcome.error
        raise EngineUnavailable(self._masker.text(f"It failed ({outcome.sentence})."), retryable=False)

    def _masked(self, message: PromptMessage) -> PromptMessage:
        content = self._masker.text(message.content)
        # Nearly always there is nothing to mask, and copying each message of a long history costs more than the look.
        return message if content is message.content else replace(message, content=content)

    async def stop(self) -> None:
        """Stop the engine if it was started."""
        if self._started:
            self._started = False
            await self._foreign.call(f"stop of engine {self.name}", self.engine.stop, 10.0)


class Engines:
    """All engines by name, and the chain that is asked where a session names none."""

    def __init__(self, handles: Sequence[EngineHandle], chain: Sequence[str]) -> None:
        self._handles = {handle.name: handle for handle in handles}
        self.default_chain = tuple(chain)

    @property
    def names(self) -> list[str]:
        """The engines that can be chosen."""
        return sorted(self._handles)

    def get(self, name: str) -> EngineHandle | None:
        """Return an engine by name."""
        return self._handles.get(name)

    def chain(self, chosen: str) -> list[EngineHandle]:
        """Return the engines in the order in which they are asked: the chosen one first, then the default chain."""
        names = dict.fromkeys([*([chosen] if chosen else []), *self.default_chain])
        return [self._handles[name] for name in names if name in self._handles]

    async def stop(self) -> None:
        """Stop all that were started."""
        for handle in self._handles.values():
            await handle.stop()
