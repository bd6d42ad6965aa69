"""What ends a process when it is raised ends none when a plugin raises it, and is heard."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from core.ai_plugin_base import AIPluginBase, action
from core.testing import ScriptedEngine, message, running_app
from tests.flows.records import outcome

ENDS = (SystemExit(3), KeyboardInterrupt(), BaseException("odd"))


class Quitter(AIPluginBase):
    """Raises what the test wants, in a handler of each kind and in a job of its own."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.spawned = asyncio.Event()

    @action(effect="read", permission="anyone")
    async def quit(self) -> str:
        """Raise it."""
        raise self.error

    @action(effect="read", permission="anyone")
    def quit_in_thread(self) -> str:
        """Raise it in a thread."""
        raise self.error

    @action(effect="read", permission="anyone")
    async def quit_later(self) -> None:
        """Raise it in the background."""
        self.context.spawn(self._quit(), "quitting")
        await self.spawned.wait()

    async def _quit(self) -> None:
        self.spawned.set()
        raise self.error


@pytest.mark.parametrize("error", ENDS)
@pytest.mark.parametrize("type_", ["quit", "quit_in_thread"])
async def test_a_handler(type_: str, error: BaseException) -> None:
    async with running_app(
        engine=ScriptedEngine((type_, {}), message("on it goes")), plugins=[Quitter(error)]
    ) as kit:
        assert await kit.interface.ask("go") == ["on it goes"]
        assert (await outcome(kit, type_))["status"] == "failed"


@pytest.mark.parametrize("error", ENDS)
async def test_a_background_job(error: BaseException) -> None:
    with capture_logs() as logs:
        async with running_app(
            engine=ScriptedEngine(("quit_later", {}), message("on")), plugins=[Quitter(error)]
        ) as kit:
            assert await kit.interface.ask("go") == []
            assert await kit.interface.ask("and now?") == ["on"]
    (heard,) = [entry for entry in logs if entry["event"] == "a background job failed"]
    assert heard["job"] == "quitting"
