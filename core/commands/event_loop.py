"""Runs a command's coroutine, and ends with it: a task of foreign code that will not end holds up nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
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


def run_and_leave(main: Coroutine[Any, Any, T]) -> T:
    """Return what `main` returns, which only looks at things: a thread that still asks a network waits for nobody."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(_LeftThreads())
        return runner.run(main)


class _LeftThreads(ThreadPoolExecutor):
    """A thread for each call, which ends with the process. To resolve a name can take half a minute of its own."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                    future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future
