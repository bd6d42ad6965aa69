"""`[retention]`: for how long, and how much of, what was said and done is kept."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from core.settings.budgets import UNLIMITED


def _for_ever(value: Any) -> Any:
    return None if value == UNLIMITED or (value == 0 and not isinstance(value, bool)) else value


Days = Annotated[Annotated[StrictInt, Field(ge=1, le=36_500)] | None, BeforeValidator(_for_ever)]
"""Days, or 0 or "unlimited": for ever."""

Rows = Annotated[Annotated[StrictInt, Field(ge=1)] | None, BeforeValidator(_for_ever)]
"""A number of rows, or 0 or "unlimited": however many there are."""


class RetentionSettings(BaseModel):
    """`[retention]`: what is older, or the oldest of what is more, is deleted a little at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    history_days: Days = Field(
        default=365, description="Days that messages, and conversations that have ended, are kept."
    )
    history_rows: Rows = Field(default=1_000_000, description="Messages that are kept at most.")
    ledger_days: Days = Field(
        default=180, description="Days that turns are kept, with their replies, actions and approvals."
    )
    ledger_turns: Rows = Field(default=1_000_000, description="Turns that are kept at most.")
    outbox_days: Days = Field(default=30, description="Days that what was sent, and dead letters, are kept.")
    outbox_rows: Rows = Field(default=1_000_000, description="Deliveries that are kept at most.")
