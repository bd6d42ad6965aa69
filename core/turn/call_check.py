"""Calling a plugin's own check of a payload, as the stage `check_actions` wants it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from core.services.foreign import Raised
from core.turn.environment import TurnEnvironment


def check_call(env: TurnEnvironment) -> Callable[[str, Callable[[], Awaitable[list[str]]], float], Any]:
    """Return how the stage `check_actions` calls a plugin's own check."""

    async def call(label: str, make: Callable[[], Awaitable[list[str]]], timeout_s: float) -> list[str]:
        called = await env.foreign.call(label, make, timeout_s)
        if isinstance(called, Raised):
            return [f"{label} failed ({env.masker.text(called.sentence)}); it cannot be run now."]
        return [str(sentence) for sentence in called.value]

    return call
