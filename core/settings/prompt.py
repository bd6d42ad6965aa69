"""How much of a prompt each of its parts may take."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr


class PromptSettings(BaseModel):
    """`[prompt]`: how much of a prompt each part may take, so that no part crowds out the others."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    history_tokens: StrictInt = Field(
        default=4000, ge=0, le=1_000_000, description="Tokens of earlier messages. More costs time and money a turn."
    )
    summary_tokens: StrictInt = Field(
        default=600, ge=0, le=100_000, description="Tokens of the summary of what no longer fits the history."
    )
    context_tokens: StrictInt = Field(
        default=800, ge=0, le=100_000, description="Tokens of what all plugins together add (time, weather, memory)."
    )
    per_plugin_context_chars: StrictInt = Field(
        default=600, ge=0, le=100_000, description="Characters of that which one plugin may add."
    )
    catalogue_bytes: StrictInt = Field(
        default=6000,
        ge=1000,
        le=1_000_000,
        description="Bytes that all actions together may take; beyond, some are named only, and asked about.",
    )
    whole_actions: tuple[StrictStr, ...] = Field(
        default=(), description='Actions to be told whole before others, as `["create_reminder", "terminal*"]`.'
    )
