"""`[events]`: whether the history of events is kept in the database, and how much of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from core.settings.retention import Days, Rows


class EventSettings(BaseModel):
    """`[events]`: off by default, since it writes down much that stands elsewhere; the last 1,000 are in memory."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keep: StrictBool = Field(default=False, description="Whether every event is written to the database.")
    days: Days = Field(default=30, description="Days that they are kept there.")
    rows: Rows = Field(default=100_000, description="Events that are kept there at most.")
