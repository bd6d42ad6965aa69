"""The model's half of a step around the call itself: what was recorded before is used, what is new is recorded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from core.contracts.engine import EngineReply, EngineRequest, Source
from core.services import inbox, ledger
from core.turn.environment import TurnEnvironment
from core.turn.stages.ask_engine import NotAnswered, ask_engine
from core.turn.state import Turn
from core.turn.tell_events import tell_replied, tell_requested


@dataclass(slots=True)
class Conversation:
    """The calls of one step. `tainted`: what the prompt of this step was, or had been when it was recorded."""

    turn: Turn
    env: TurnEnvironment
    deadline: float
    tainted: bool
    attempt: int = 0
    _recording: asyncio.Future[None] | None = None

    async def next_reply(self, request: EngineRequest) -> EngineReply | NotAnswered:
        """Return the next reply of this step: the recorded one, else the model's, which is recorded meanwhile."""
        turn, env = self.turn, self.env
        attempt, self.attempt = self.attempt, self.attempt + 1
        context = turn.context(tainted=self.tainted)
        if attempt < len(turn.replies):
            recorded = turn.replies[attempt]
            self.tainted = self.tainted or recorded.tainted
            raw = EngineReply(text=recorded.text, finish_reason=recorded.finish_reason)
        else:
            changed = await env.hooks.chain("before_llm", context, request)
            request = changed if isinstance(changed, EngineRequest) else request
            if any(message.source is Source.FOREIGN for message in request.messages):
                self.tainted = turn.tainted = True  # a hook may have added it
            chain = env.engines.chain(turn.session.engine)
            first = chain[0].name if chain else ""
            tell_requested(env, turn, attempt, first, request.model, len(request.messages))
            asked = await ask_engine(
                request,
                chain,
                deadline=self.deadline,
                clock=env.clock,
                pause=env.clock.sleep,
            )
            if isinstance(asked, NotAnswered):
                tell_replied(env, turn, attempt, first, None, asked.sentence)
                return asked
            raw = asked.reply
            tell_replied(env, turn, attempt, asked.engine, raw)
            env.tokens.learn(self._model(asked.engine), raw)
            self._record(attempt, asked.engine, raw)
        reply = await env.hooks.chain("after_llm", context, raw)
        return reply if isinstance(reply, EngineReply) else raw

    def _model(self, engine: str) -> str:
        """The name under which the budget looks the model up: the chosen one, not what the server calls it."""
        handle = self.env.engines.get(engine)
        return self.turn.session.model or (handle.engine.model if handle is not None else "")

    def _record(self, attempt: int, engine: str, reply: EngineReply) -> None:
        turn, env = self.turn, self.env
        now_ms = env.clock.now_ms()
        # The handlers of this run get what the model said; what is written down holds no secret.
        reply = replace(reply, text=env.masker.text(reply.text))
        previous = self._recording
        env.reached("engine replied")

        def write(conn: Any) -> None:
            inbox.check(conn, turn.lease, now_ms)
            ledger.record_reply(conn, turn.id, turn.number, attempt, engine, reply, self.tainted, now_ms)

        async def record() -> None:
            if previous is not None:
                await previous
            # What makes the following durable (an intent, the step) makes this durable too, as it comes later in the
            # same log. So a power cut can only undo a reply of which nothing was done yet.
            await env.database.transact(write, durable=False)

        # Reading and validating the reply goes on meanwhile; `recorded` is awaited before anything of it runs.
        self._recording = asyncio.ensure_future(record())

    @property
    def replayed(self) -> bool:
        """Whether the reply that was returned last is the last one that an earlier run recorded."""
        return 0 < self.attempt == len(self.turn.replies)

    async def recorded(self) -> None:
        """Wait until every reply of this step is recorded."""
        if self._recording is not None:
            await self._recording
            self.env.reached("reply recorded")
