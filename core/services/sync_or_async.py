"""Calls a function of foreign code whether it was written with `async` or not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from core.own_thread import in_own_thread
from core.services.foreign import contained


async def invoke(function: Callable[..., Any], *args: object) -> Any:
    """Call `function(*args)`: awaited where it is a coroutine function, else in a worker thread.

    Context variables are there in both. SystemExit and KeyboardInterrupt, and StopIteration in a thread, become
    RuntimeError: the event loop would end at the first two, and never hear of the third.
    """
    if inspect.iscoroutinefunction(function):
        return await contained(function(*args))
    # In a thread of its own: one that hangs must not use up those which all others share.
    result = await in_own_thread(partial(function, *args), getattr(function, "__qualname__", "foreign code"))
    return await contained(result) if inspect.isawaitable(result) else result
