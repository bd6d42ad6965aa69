"""A model call of a plugin's own, inside the budget of whoever it is made for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar

from core.ai_plugin_base import current_action
from core.contracts.actions import Untrusted
from core.contracts.engine import EngineReply, EngineRequest, PromptMessage, Source
from core.contracts.errors import BudgetUsedUp, EngineRefused, EngineTimeout, EngineUnavailable
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Address, Origin, Principal, Role
from core.services import budgets
from core.services.budgets import DAY_MS, PLUGINS
from core.turn.ask_with_hooks import ask_with_hooks
from core.turn.environment import TurnEnvironment
from core.turn.running_action import RunningAction
from core.turn.stages.ask_engine import NotAnswered

MOST_AT_ONCE = 4
MOST_WAITING = 32
LARGEST_REQUEST = 256 * 1024
"""Bytes of UTF-8, instructions included."""
LONGEST_S = 600.0


class _Call:
    """A call that is being made, or, for what was started meanwhile and goes on, was."""

    def __init__(self) -> None:
        self.under_way = True


_asking: ContextVar[_Call | None] = ContextVar("rekku_asking", default=None)


class EnginesOfPlugin:
    """The `PluginEngines` of one plugin."""

    def __init__(self, plugin: str, env: Callable[[], TurnEnvironment]) -> None:
        self._plugin = plugin
        self._env = env
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._waiting = 0
        self._open = True

    def close(self) -> None:
        """Take no more questions: the plugin has stopped."""
        self._open = False

    async def ask(
        self,
        messages: str | Untrusted | Sequence[str | Untrusted],
        *,
        instructions: str = "",
        principal: Principal | None = None,
        engine: str = "",
        model: str = "",
        temperature: float | None = None,
        max_output_tokens: int | None = None,
        timeout_s: float = 60.0,
    ) -> EngineReply:
        """Ask a model; see `core.contracts.services.PluginEngines`."""
        env = self._env()
        if not self._open:
            raise EngineRefused(f"{self._plugin} has stopped and asks no engine any more.")
        around = _asking.get()
        if around is not None and around.under_way:
            raise EngineRefused(f"{self._plugin} asks an engine while a call of its kind is being made.")
        request = _request(messages, instructions, model, temperature, max_output_tokens)
        if math.isnan(timeout_s):
            raise EngineRefused("timeout_s is no number of seconds.", cure="Give seconds, as 60.0.")
        running = current_action.get(None)
        context = self._context(running, principal, env)
        if any(message.source is Source.FOREIGN for message in request.messages):
            _see_foreign(running)
        await self._check_budget(context.principal, context.role, env)
        chosen = engine or context.session.engine
        if engine and env.engines.get(engine) is None:
            raise EngineUnavailable(
                f"There is no engine {engine}.", cure=f"Use one of {', '.join(env.engines.names)}."
            )
        deadline = env.clock.monotonic() + min(max(timeout_s, 0.0), LONGEST_S)
        await self._slot(deadline - env.clock.monotonic())
        call = _Call()
        token = _asking.set(call)
        try:
            told = await ask_with_hooks(request, context, env, env.engines.chain(chosen), deadline=deadline)
        finally:
            call.under_way = False
            _asking.reset(token)
            self._slots.release()
        if isinstance(told, NotAnswered):
            raise EngineUnavailable(env.masker.text(told.sentence), retryable=False)
        if told.foreign_added:
            _see_foreign(running)
        now_ms = env.clock.now_ms()
        tokens, who = budgets.tokens_of(told.raw), str(context.principal)
        await env.database.transact(
            lambda conn: budgets.record_ask(conn, who, self._plugin, told.engine, tokens, now_ms), durable=False
        )
        return told.reply

    async def _slot(self, longest_s: float) -> None:
        if self._waiting >= MOST_WAITING:
            raise EngineRefused(f"{MOST_WAITING} calls of {self._plugin} wait already.")
        self._waiting += 1
        try:
            async with asyncio.timeout(longest_s):
                await self._slots.acquire()
        except TimeoutError:
            raise EngineTimeout(f"{self._plugin} has {MOST_AT_ONCE} calls under way, which took too long.") from None
        finally:
            self._waiting -= 1

    def _context(self, running: object, principal: Principal | None, env: TurnEnvironment) -> TurnContext:
        if isinstance(running, RunningAction) and principal in (None, running.principal):
            return running.turn_context()
        own = Principal(PLUGINS, self._plugin)
        who = principal or own
        return TurnContext(
            turn_id=0,
            principal=who,
            role=Role.USER if who == own else env.people.role(who),
            address=Address(PLUGINS, self._plugin),
            origin=Origin.SYSTEM,
        )

    async def _check_budget(self, principal: Principal, role: Role, env: TurnEnvironment) -> None:
        if role is Role.BLOCKED:
            raise BudgetUsedUp(f"{principal} may not use this assistant.")
        budget = env.budgets.get(role)
        most = None if budget is None else budget.engine_tokens_per_day
        if most is None:
            return
        now_ms = env.clock.now_ms()
        since_ms = now_ms - now_ms % DAY_MS
        used = await env.database.read(lambda conn: budgets.tokens_since(conn, str(principal), since_ms))
        if used >= most:
            raise BudgetUsedUp(
                f"{principal} has used the {most:,} tokens of the model that a {role.value} may use in a day.",
                cure="It begins anew at midnight UTC.",
            )


def _see_foreign(running: object) -> None:
    if isinstance(running, RunningAction):
        running.see_foreign()


def _request(
    messages: str | Untrusted | Sequence[str | Untrusted],
    instructions: str,
    model: str,
    temperature: float | None,
    max_output_tokens: int | None,
) -> EngineRequest:
    given = [messages] if isinstance(messages, str | Untrusted) else list(messages)
    texts = [one.text if isinstance(one, Untrusted) else one for one in given]
    if not texts or not all(isinstance(text, str) for text in (*texts, instructions)):
        raise EngineRefused(
            "What is asked is no text, or none at all.", cure="Give str, Untrusted, or a list of them."
        )
    size = sum(len(text.encode("utf-8", "replace")) for text in (*texts, instructions))
    if size > LARGEST_REQUEST:
        raise EngineRefused(f"What is asked has {size} bytes, {LARGEST_REQUEST} are the most.")
    sources = [Source.FOREIGN if isinstance(one, Untrusted) else Source.CONTEXT for one in given]
    return EngineRequest(
        instructions=instructions,
        catalogue="",
        catalogue_brief="",
        messages=tuple(
            PromptMessage(role="user", content=text, source=source)
            for text, source in zip(texts, sources, strict=True)
        ),
        model=model,
        temperature=temperature,
        max_output_tokens=max_output_tokens,
    )
