"""Runs a command's coroutine, and ends with it: a task of foreign code that will not end holds up nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

GRACE_S = 2.0
"""How long what still runs has to end when it is cancelled."""

_left_behind: list[object] = []
"""Kept to the end of the process: to collect a coroutine that runs is to run it once more."""


def run_to_the_end(main: Coroutine[Any, Any, T]) -> T:
    """Return what `main` returns, as `asyncio.run` does, and wait for nothing that swallows its cancellation."""
    runner = asyncio.Runner()
    try:
        return runner.run(main)
    finally:
        loop = runner.get_loop()
        if loop.run_until_complete(_end_the_rest()):
            runner.close()
        else:
            loop.set_exception_handler(lambda loop, context: None)
            _left_behind.extend((runner, *asyncio.all_tasks(loop)))


async def _end_the_rest() -> bool:
    """Cancel all other tasks; False when some have not ended after a grace."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if not rest:
        return True
    _, late = await asyncio.wait(rest, timeout=GRACE_S)
    return not late
