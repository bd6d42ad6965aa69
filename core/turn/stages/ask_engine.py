"""The engine call: one deadline for everything, retries, and the next engine when one cannot answer."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.contracts.engine import EngineReply, EngineRequest
from core.contracts.errors import EngineError, EngineTimeout, EngineUnavailable
from core.contracts.services import Clock

FIRST_PAUSE_S = 0.5
MOST_TRIES_PER_ENGINE = 5
TRIES_BEFORE_THE_NEXT = 2


class AskableEngine(Protocol):
    """One engine as this stage needs it: `ask` never outlasts `timeout_s` and raises only EngineError."""

    @property
    def name(self) -> str: ...

    async def ask(self, request: EngineRequest, timeout_s: float) -> EngineReply: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A reply, and the engine that gave it."""

    reply: EngineReply
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAnswered:
    """No engine gave a reply; `errors` by engine, in the order in which they were asked."""

    errors: tuple[tuple[str, EngineError], ...]

    @property
    def sentence(self) -> str:
        """What the user is told."""
        if not self.errors:
            return "I cannot answer: no engine is set up. See `rekku doctor`."
        reasons = " ".join(f"{name}: {error.explain()}" for name, error in self.errors)
        return f"I could not get an answer from the model. {reasons}"


async def ask_engine(
    request: EngineRequest,
    engines: Sequence[AskableEngine],
    *,
    deadline: float,
    clock: Clock,
    pause: Callable[[float], Awaitable[None]],
) -> Answered | NotAnswered:
    """Ask the engines in order until one answers.

    deadline: on `clock.monotonic()`; retries and fallbacks included. An engine that is not the last gets an even
    share of what is left, so that one that hangs leaves time for the next.
    """
    errors: list[tuple[str, EngineError]] = []
    for place, engine in enumerate(engines):
        left = deadline - clock.monotonic()
        if left <= 0:
            break
        until = clock.monotonic() + left / (len(engines) - place)
        # A model that the user chose belongs to the first engine; the fallbacks use their own.
        asked = request if place == 0 else dataclasses.replace(request, model="")
        # With another engine behind it, two tries: whoever waits is better served by the next one than by patience.
        tries = MOST_TRIES_PER_ENGINE if place == len(engines) - 1 else TRIES_BEFORE_THE_NEXT
        outcome = await _ask_one(asked, engine, until, clock, pause, tries)
        if isinstance(outcome, EngineReply):
            return Answered(reply=outcome, engine=engine.name)
        errors.append((engine.name, outcome))
    return NotAnswered(errors=tuple(errors))


async def _ask_one(
    request: EngineRequest,
    engine: AskableEngine,
    until: float,
    clock: Clock,
    pause: Callable[[float], Awaitable[None]],
    tries: int,
) -> EngineReply | EngineError:
    error: EngineError = EngineTimeout("There was no time left to ask.")
    for attempt in range(tries):
        left = until - clock.monotonic()
        if left <= 0:
            return error
        try:
            return await engine.ask(dataclasses.replace(request, timeout_s=left), left)
        except EngineUnavailable as unavailable:
            error = unavailable
            if not unavailable.retryable:
                return error
            wait = unavailable.retry_after_s
        except EngineError as final:
            return final
        wait_s = wait if wait is not None else FIRST_PAUSE_S * 2**attempt * (0.75 + random.random() / 2)
        if attempt + 1 == tries or clock.monotonic() + wait_s >= until:
            return error
        await pause(wait_s)
    return error
