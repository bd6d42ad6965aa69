"""An engine call beside the steps of a turn (a summary, a plugin's own), with the hooks that see every call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.contracts.engine import EngineReply, EngineRequest, Source
from core.contracts.hooks import TurnContext
from core.services.engines import EngineHandle
from core.turn.environment import TurnEnvironment
from core.turn.stages.ask_engine import NotAnswered, ask_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A reply as the hooks left it, the raw one, the engine that gave it, and whether a hook added foreign text."""

    reply: EngineReply
    raw: EngineReply
    engine: str
    foreign_added: bool


async def ask_with_hooks(
    request: EngineRequest,
    context: TurnContext,
    env: TurnEnvironment,
    chain: Sequence[EngineHandle],
    *,
    deadline: float,
) -> Told | NotAnswered:
    """Ask the engines in order; `deadline`: on the clock's `monotonic()`, retries and fallbacks included."""
    changed = await env.hooks.chain("before_llm", context, request)
    changed = changed if isinstance(changed, EngineRequest) else request
    added = any(one.source is Source.FOREIGN and one not in request.messages for one in changed.messages)
    asked = await ask_engine(changed, chain, deadline=deadline, clock=env.clock, pause=env.clock.sleep)
    if isinstance(asked, NotAnswered):
        return asked
    reply = await env.hooks.chain("after_llm", context, asked.reply)
    return Told(
        reply=reply if isinstance(reply, EngineReply) else asked.reply,
        raw=asked.reply,
        engine=asked.engine,
        foreign_added=added,
    )
