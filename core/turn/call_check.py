"""Calling a plugin's own check of a payload, as the stage `check_actions` wants it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from core.contracts.hooks import TurnContext
from core.services.foreign import Behalf, Raised
from core.turn.environment import TurnEnvironment
from core.turn.stages.check_actions import CallCheck


def check_call(env: TurnEnvironment, turn: TurnContext) -> CallCheck:
    """Return how the stage `check_actions` calls a plugin's own check. turn: on whose behalf."""

    async def call(label: str, plugin: str, make: Callable[[], Awaitable[list[str]]], timeout_s: float) -> list[str]:
        called = await env.foreign.call(label, make, timeout_s, plugin, behalf=Behalf.of(turn))
        if isinstance(called, Raised):
            return [f"{label} failed ({env.masker.text(called.sentence)}); it cannot be run now."]
        return called.value

    return call
