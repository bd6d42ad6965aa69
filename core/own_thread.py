"""Runs a blocking function where it can be given up: importing foreign code may never end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(function: Callable[[], T], name: str) -> T:
    """Return what `function()` returns, run with the caller's context variables in a thread of its own.

    The thread is a daemon: one that hangs holds up neither the other workers nor the end of the process. What ends
    processes or generators (SystemExit, StopIteration) is raised as RuntimeError.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type] # one of the two is always given

    def work() -> None:
        result: T | None = None
        failed: BaseException | None = None
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - foreign code; it is raised again where it is awaited
            failed = error
        except BaseException as error:  # noqa: BLE001 - likewise
            failed = RuntimeError(f"it tried to end the process ({type(error).__name__})")
        if isinstance(failed, StopIteration):
            failed = RuntimeError("a StopIteration escaped; give next() a default")
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failed)

    context = copy_context()
    threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()
    return await done
