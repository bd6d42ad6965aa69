"""Asking the turn strategies of the active plugins, so that none of them can break or hold up a turn."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from core.contracts.hooks import TurnContext
from core.contracts.json import storable
from core.contracts.steps import Step
from core.contracts.strategies import LONGEST_INSTRUCTION, StepPlan
from core.services.foreign import Behalf, ForeignCalls, Raised
from core.services.hook_answers import own
from core.services.sync_or_async import invoke

log = structlog.get_logger("rekku.strategies")


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyBinding:
    """One strategy of one active plugin. timeout_s: how long one decision may take, in seconds."""

    name: str
    plugin: str
    method: str
    call: Callable[..., Any]
    timeout_s: float


class Strategies:
    """The strategies of the active plugins."""

    def __init__(self, bindings: Callable[[], Sequence[StrategyBinding]], foreign: ForeignCalls) -> None:
        self._bindings = bindings
        self._foreign = foreign

    @property
    def names(self) -> list[str]:
        """Those that can be chosen."""
        return sorted(binding.name for binding in self._bindings())

    async def next_step(self, name: str, turn: TurnContext, steps: Sequence[Step]) -> StepPlan | None:
        """Ask a strategy for the next step behind those that were taken; None where it did not work, which is logged.

        Nobody providing it counts as not working. Its own None is the default step.
        """
        binding = next((one for one in self._bindings() if one.name == name), None)
        if binding is None:
            log.warning("no plugin provides the turn strategy", strategy=name)
            return None
        label = f"{binding.plugin}.{binding.method}"
        # Its own copy: what it does to the records must change nothing.
        taken = copy.deepcopy(tuple(steps))

        async def decide() -> StepPlan:
            answer = await invoke(binding.call, own(turn), taken)
            plan = StepPlan() if answer is None else answer
            if wrong := _malformed(plan):
                raise TypeError(wrong)
            return plan

        decided = await self._foreign.call(label, decide, binding.timeout_s, binding.plugin, behalf=Behalf.of(turn))
        if isinstance(decided, Raised):
            log.warning(
                "a turn strategy did not work",
                plugin=binding.plugin,
                strategy=name,
                error=decided.sentence,
                where=decided.where,
                raised=decided.error,
            )
            return None
        return decided.value


def _malformed(plan: object) -> str:
    """Return what is wrong with an answer, or ""."""
    if not isinstance(plan, StepPlan):
        return f"answered with a {type(plan).__name__}, not a StepPlan or None"
    actions = plan.actions
    if actions is not None and (
        isinstance(actions, str)
        or not isinstance(actions, Collection)
        or not all(isinstance(one, str) for one in actions)
    ):
        return "actions is no collection of action types"
    text = plan.instruction
    if not isinstance(text, str) or len(text) > LONGEST_INSTRUCTION or storable(text) != text:
        return f"instruction is no text of at most {LONGEST_INSTRUCTION} characters"
    if not isinstance(plan.plan_only, bool) or not isinstance(plan.last, bool):
        return "plan_only and last are True or False"
    return "plan_only and last contradict each other" if plan.plan_only and plan.last else ""
