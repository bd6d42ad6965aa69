"""Background work that belongs to the interface: bounded in number, and gone when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from structlog.typing import FilteringBoundLogger

MOST_TASKS = 1000


class OwnedTasks:
    """Starts tasks and ends them. One that raises is reported."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """Start `work`; None when there is too much of it already."""
        if len(self._tasks) >= MOST_TASKS:
            work.close()
            return None
        task = asyncio.get_running_loop().create_task(self._run(work, name), name=f"telegram: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before it began, it would be left over
        return task

    async def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - nobody awaits it, so this is where it is heard
            self._log.error("background work failed", work=name, error=f"{type(error).__name__}: {error}")

    async def end(self) -> None:
        """Cancel all and wait for it, for a second at most."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
