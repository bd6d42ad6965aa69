"""Tasks that a plugin spawns: reported when they raise, cancelled together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from core.services.foreign import contained

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

PATIENCE_S = 1.0


class BackgroundTasks:
    """The background tasks of one plugin."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Awaitable[None], name: str, owner: str, log: FilteringBoundLogger) -> None:
        """Run `work` until it ends or `cancel` is called."""

        async def run() -> None:
            try:
                await contained(work)
            except (asyncio.CancelledError, GeneratorExit):
                raise  # it was ended, it did not fail
            except BaseException as error:  # noqa: BLE001 - the job is foreign code; it must be heard when it fails
                log.error("a background job failed", job=name, error=f"{type(error).__name__}: {error}")

        task = asyncio.get_running_loop().create_task(run(), name=f"{owner}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        """Cancel what still runs; one that does not let itself be cancelled is left behind after a second."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PATIENCE_S)
