"""Dice: the smallest plugin that is worth reading."""

from __future__ import annotations

import random
from typing import Annotated

from pydantic import BaseModel, Field

from core.ai_plugin_base import AIPluginBase, action
from core.contracts.errors import ActionFailed


class Dice(AIPluginBase):
    """Rolls dice."""

    class Config(BaseModel):
        """`[plugins.dice]`: max_sides is the largest die that can be rolled."""

        max_sides: int = Field(default=1000, ge=2)

    @action(
        effect="read",
        permission="anyone",
        command="roll",
        phrases=[
            "roll a d{sides}",
            "roll {count}d{sides}",
            "roll {count} d{sides}",
            "roll a {sides} sided die",
            "roll {count} dice",
            "roll a die",
            "roll the dice",
            "{count}d{sides}",
            "d{sides}",
        ],
    )
    async def roll_dice(
        self,
        sides: Annotated[int, Field(ge=2)] = 6,
        count: Annotated[int, Field(ge=1, le=20)] = 1,
    ) -> str:
        """Roll one die, or several, and tell the result."""
        if sides > self.config.max_sides:
            raise ActionFailed(f"The largest die that can be rolled has {self.config.max_sides} sides.")
        rolls = [random.randint(1, sides) for _ in range(count)]
        if count == 1:
            return str(rolls[0])
        return f"{' + '.join(map(str, rolls))} = {sum(rolls)}"


PLUGIN_CLASS = Dice
