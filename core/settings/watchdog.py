"""`[watchdog]`: when a plugin has done so much harm that it is taken out of use."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt

Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class WatchdogSettings(BaseModel):
    """`[watchdog]`: a slip is told in the log, what goes on is ended."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    block_s: Seconds = Field(
        default=0.5,
        ge=0,
        le=3600,
        description="Seconds from which on a plugin that holds up all others is counted, by the event loop or by a "
        "transaction; 0: it is not looked at.",
    )
    blocks: StrictInt = Field(default=3, ge=1, le=1000, description="So many of them put it into quarantine.")
    within_minutes: StrictInt = Field(default=10, ge=1, le=1440, description="Minutes within which they count.")
    longest_block_s: Seconds = Field(
        default=5.0, gt=0, le=3600, description="Seconds of one of them that suffice by themselves."
    )
    rest_times: StrictInt = Field(
        default=10,
        ge=0,
        le=1000,
        description="After each of them the plugin is not called for so many times as long as it took; 0: it goes on "
        "at once.",
    )
    failures_in_a_row: StrictInt = Field(
        default=5,
        ge=0,
        le=1000,
        description="Unexpected errors and time-outs of a plugin's actions, hooks, handlers and jobs, not made good "
        "since, that put it into quarantine; guests' count for nothing; 0: none do.",
    )
    failures_within_hours: StrictInt = Field(
        default=24, ge=1, le=8760, description="Hours within which they count; an older one is forgotten."
    )
