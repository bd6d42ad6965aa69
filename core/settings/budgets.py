"""`[budgets.ROLE]`: what one principal of a role may use."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

UNLIMITED = "unlimited"

_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _unlimited(value: Any) -> Any:
    return None if value == UNLIMITED else value


Bound = Annotated[Annotated[StrictInt, Field(ge=1)] | None, BeforeValidator(_unlimited)]
"""A number of at least 1, or "unlimited"."""


class TrainerBudget(BaseModel):
    """`[budgets.trainer]`: nothing is bounded unless it is set."""

    model_config = _STRICT

    turns_per_hour: Bound = Field(default=None, description="Turns within an hour; commands do not count.")
    engine_tokens_per_day: Bound = Field(
        default=None, description="Tokens of the model, sent and received, within a day of UTC."
    )
    pending_inputs: Bound = Field(default=None, description="Messages that wait at the same time.")


class UserBudget(TrainerBudget):
    """`[budgets.user]`: room for a long day's talk, and an end to a script that has gone wild."""

    turns_per_hour: Bound = 60
    engine_tokens_per_day: Bound = 1_000_000
    pending_inputs: Bound = 20


class GuestBudget(TrainerBudget):
    """`[budgets.guest]`: anybody may be one, so what they cost is little."""

    turns_per_hour: Bound = 10
    engine_tokens_per_day: Bound = 100_000
    pending_inputs: Bound = 3


class BudgetSettings(BaseModel):
    """`[budgets]`."""

    model_config = _STRICT

    user: UserBudget = UserBudget()
    guest: GuestBudget = GuestBudget()
    trainer: TrainerBudget = TrainerBudget()
