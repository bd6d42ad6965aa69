"""A turn strategy, `/strategy look_first`: the model may only look in its first step, and acts in the next ones."""

from __future__ import annotations

from pydantic import BaseModel, Field

from core.ai_plugin_base import AIPluginBase, StepPlan, TurnContext, strategy
from core.contracts.steps import Step


class LookFirst(AIPluginBase):
    """Has the model look before it does anything."""

    class Config(BaseModel):
        """`[plugins.look_first]`."""

        looks: tuple[str, ...] = Field(default=("get_time",), description="The actions that only look.")

    config: Config

    @strategy("look_first")
    def plan(self, turn: TurnContext, steps: tuple[Step, ...]) -> StepPlan | None:
        """Decide by the steps that were taken alone: after a crash it is asked the same again."""
        if not steps:
            return StepPlan(actions=self.config.looks, instruction="Look at what you need to know; do nothing yet.")
        if len(steps) == 1:
            return StepPlan(instruction="You have looked. Now do what was asked.")
        return None


PLUGIN_CLASS = LookFirst
