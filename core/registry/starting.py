"""Calling the start and the stop of a component."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from core.ai_plugin_base import AIPluginBase
from core.own_thread import in_own_thread
from core.services.sync_or_async import invoke

LONGEST_START_S = 600.0


def start_timeout_s(instance: object, usual_s: float) -> float:
    """Return how long the start of a component may take: what its class says, if that can be used."""
    own = getattr(instance, "start_timeout_s", None)
    if own == AIPluginBase.start_timeout_s:
        return usual_s  # it has none of its own
    usable = isinstance(own, int | float) and not isinstance(own, bool) and 0 < own <= LONGEST_START_S
    return float(own) if usable and own is not None else usual_s


async def invoke_in_thread(function: Callable[..., Any], label: str) -> Any:
    """Call start or stop; a synchronous one gets a thread that can be given up."""
    if inspect.iscoroutinefunction(function):
        return await invoke(function)
    result = await in_own_thread(function, label)
    return await result if inspect.isawaitable(result) else result
