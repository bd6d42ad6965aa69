"""Checks of a plugin's hooks: they fit what they are called with, answer what they may, and end when cancelled."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from core.conformance.findings import Findings
from core.conformance.source_checks import line_of
from core.contracts.actions import ActionEnvelope, ActionSpec, Untrusted
from core.contracts.deliveries import Delivery
from core.contracts.engine import EngineReply, EngineRequest, PromptMessage, Source
from core.contracts.hooks import HOOKS, Block, HookKind, Intercept, SessionView, TurnContext
from core.contracts.inputs import Address, Input, InputKind, Origin, Principal, Role
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.counted import counted
from core.services.foreign import CANCEL_GRACE_S, ForeignCalls, Raised
from core.services.hooks import HOOK_TIMEOUT_S, MAY_BLOCK, MAY_INTERCEPT, HookBinding
from core.services.sync_or_async import invoke

PRINCIPAL = Principal("check", "somebody")
ADDRESS = Address("check", "somebody")
TEXT = "hello"

TURN = TurnContext(
    turn_id=1,
    principal=PRINCIPAL,
    role=Role.USER,
    address=ADDRESS,
    origin=Origin.USER,
    text=TEXT,
    session=SessionView(id=1),
)
"""The turn that hooks are called in by the checks: somebody's, who is a user and has said hello."""


def sample_arguments(hook: str, specs: Sequence[ActionSpec]) -> tuple[Any, ...]:
    """Return what a hook is called with, in a turn of somebody who says hello."""
    envelope = ActionEnvelope(type="message", payload={"text": TEXT})
    message = PromptMessage(role="user", content=TEXT, source=Source.PRINCIPAL)
    arguments: dict[str, tuple[Any, ...]] = {
        "transform_input": (
            Input(kind=InputKind.MESSAGE, principal=PRINCIPAL, address=ADDRESS, text=TEXT, dedupe_key="1"),
        ),
        "resolve_session": (SessionView(id=1),),
        "gather_context": (),
        "extend_system_prompt": ("You are Rekku.",),
        "filter_actions": (list(specs),),
        "before_llm": (EngineRequest(instructions="", catalogue="", catalogue_brief="", messages=(message,)),),
        "after_llm": (EngineReply(text='{"actions": []}'),),
        "before_action": (envelope,),
        "after_action": (envelope, Outcome(status=OutcomeStatus.DONE)),
        "before_delivery": (Delivery(address=ADDRESS, text=TEXT),),
    }
    return (TURN, *arguments[hook])


async def check_answers(
    bindings: Sequence[HookBinding],
    specs: Sequence[ActionSpec],
    foreign: ForeignCalls,
    trees: Mapping[str, ast.Module],
    found: Findings,
) -> None:
    """Every hook answers in time with what it may answer, and ends when it is cancelled."""
    for binding in bindings:
        arguments = sample_arguments(binding.hook, specs)
        if binding.injects is not None:
            arguments = (TEXT, TURN)[: binding.injects]
        where = line_of(trees, binding.method)
        call = partial(invoke, binding.call, *arguments)
        answer = await foreign.call(binding.label, call, HOOK_TIMEOUT_S)
        if isinstance(answer, Raised):
            cure = "Answer None where there is nothing to change, and catch what can go wrong."
            found.fail("hooks", f"{binding.method} ({binding.hook}) raised {answer.sentence}.", cure, where)
        elif wrong := _wrong(binding.hook, arguments, answer.value):
            found.fail("hooks", f"{binding.method} answered {wrong}", "Answer None for no change.", where)
        if not await ends_when_cancelled(call):
            found.fail(
                "cancellation",
                f"{binding.method} does not end within {CANCEL_GRACE_S:g} s when it is cancelled.",
                "Let CancelledError pass.",
                where,
            )
    told = f"{counted(len(bindings), 'hook')}: the arguments and the answers fit."
    found.ok("hooks", told if bindings else "There are no hooks.")


async def ends_when_cancelled(make: Callable[[], Awaitable[Any]]) -> bool:
    """Call something, cancel it once it waits, and tell whether it has ended within the grace."""
    task: asyncio.Future[Any] = asyncio.ensure_future(make())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=CANCEL_GRACE_S)
    if task.done() and not task.cancelled():
        task.exception()
    return task.done()


def _wrong(hook: str, arguments: tuple[Any, ...], answer: Any) -> str:
    """Return what is wrong with an answer, or ""."""
    if answer is None:
        return ""
    kind = HOOKS[hook]
    said = type(answer).__name__
    if kind is HookKind.GUARD:
        return "" if isinstance(answer, Block) else f"a {said}, not a Block or None: that blocks every action."
    if kind is HookKind.COLLECT:
        return (
            "" if isinstance(answer, str | int | float | list | dict | Untrusted) else f"a {said}, which is no text."
        )
    if kind is HookKind.NARROW:
        good = not isinstance(answer, str | dict) and all(isinstance(one, ActionSpec) for one in answer)
        return "" if good else f"a {said}, not a list of the specs that stay."
    if (isinstance(answer, Block) and hook in MAY_BLOCK) or (isinstance(answer, Intercept) and hook in MAY_INTERCEPT):
        return ""
    value = arguments[-1]
    return "" if isinstance(answer, type(value)) else f"a {said}, not a {type(value).__name__} or None."
