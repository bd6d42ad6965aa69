"""Calls a function of foreign code whether it was written with `async` or not."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def invoke(function: Callable[..., Any], *args: object) -> Any:
    """Call `function(*args)`: awaited where it is a coroutine function, else in a worker thread.

    Context variables are there in both. SystemExit, and StopIteration in a thread, become RuntimeError: the event
    loop would end at the first, and never hear of the second.
    """
    try:
        if inspect.iscoroutinefunction(function):
            return await function(*args)
        result = await asyncio.to_thread(_in_thread, function, args)
        return await result if inspect.isawaitable(result) else result
    except SystemExit as error:
        raise RuntimeError(f"it tried to end the process (SystemExit: {error})") from error


def _in_thread(function: Callable[..., Any], args: tuple[object, ...]) -> Any:
    try:
        return function(*args)
    except StopIteration as error:
        raise RuntimeError("a StopIteration escaped; give next() a default") from error
