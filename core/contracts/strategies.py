"""Turn strategies: how a plugin's own loop takes the steps of a turn, one decision before each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

STRATEGY_TIMEOUT_S = 5.0
LONGEST_INSTRUCTION = 8000
"""Characters."""

PLAN_ACTION = "core_plan"
"""The type under which a reply that was only a plan stands in the ledger and in the prompts of later steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """How one step is to be taken. The default is what happens without a strategy.

    actions: the types that the model is shown and may use in this step; None: all that it may use anyway. What it
    may not use stays out, and talking to the user (`message`) stays in. instruction: what the model is told in this
    step alone, as the plugin's own words. plan_only: the reply is written down as a plan and nothing in it runs;
    another step follows. last: the turn ends with this step, and what came out of it is told to the user as it is.
    """

    actions: Collection[str] | None = None
    instruction: str = ""
    plan_only: bool = False
    last: bool = False
