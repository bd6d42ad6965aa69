"""A terminal plugin in a home of its own, without an app, and ways to call it and to look at the machine."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from core.ai_plugin_base import ActionContext, current_action
from core.contracts.inputs import Principal
from core.contracts.json import Json
from core.contracts.services import KeyValueStore
from plugins.terminal import Terminal, landlock
from tests.support.plugin_context import FakePluginContext, equip


@dataclass
class MemoryKeyValues:
    """A key-value store that lasts as long as the test keeps it."""

    values: dict[str, Json] = field(default_factory=dict)

    async def get(self, key: str, default: Json = None) -> Json:
        return self.values.get(key, default)

    async def set(self, key: str, value: Json) -> None:
        self.values[key] = value

    async def delete(self, key: str) -> None:
        self.values.pop(key, None)


@dataclass(kw_only=True)
class TerminalContext(FakePluginContext):
    """A plugin's context with a store."""

    store: MemoryKeyValues = field(default_factory=MemoryKeyValues)

    @property
    def kv(self) -> KeyValueStore:
        return self.store


@dataclass(frozen=True)
class Caller:
    """As much of an action's context as the terminal reads."""

    principal: Principal


@dataclass(frozen=True)
class Bench:
    """A started plugin. `home` is REKKU_HOME, `work` the one directory that commands may write to."""

    plugin: Terminal
    context: TerminalContext
    home: Path

    @property
    def work(self) -> Path:
        return self.context.data_directory / "work"

    @property
    def sandbox(self) -> str:
        return self.plugin._shut_in.sandbox.name

    async def call(self, type_: str, *, by: str = "owner", **payload: Any) -> Any:
        """Run an action as the core would."""
        problems = self.plugin.validate_payload(type_, payload)
        assert problems == []
        token = current_action.set(cast(ActionContext, Caller(Principal("console", by))))
        try:
            return await self.plugin.handle_custom_action(type_, payload)
        finally:
            current_action.reset(token)

    async def run(self, command: str, **payload: Any) -> Any:
        """Run a command."""
        return await self.call("terminal", command=command, **payload)


def make_home(directory: Path) -> TerminalContext:
    """Make a REKKU_HOME with secrets in it, and the context of a terminal there."""
    home = directory / "rekku-home"
    data = home / "data" / "terminal"
    data.mkdir(parents=True, exist_ok=True)
    (home / ".env").write_text("TOKEN=canary-secret\n")
    (home / "rekku.toml").write_text('OPENAI_API_KEY = "canary-secret"\n')
    return TerminalContext(name="terminal", data_directory=data)


@asynccontextmanager
async def started(directory: Path, context: TerminalContext | None = None, **config: Any) -> AsyncIterator[Bench]:
    """Start a terminal below `directory`."""
    context = context or make_home(directory)
    plugin = equip(Terminal(), context, **config)
    await plugin.start()
    try:
        yield Bench(plugin, context, directory / "rekku-home")
    finally:
        await asyncio.sleep(0)
        for job in context.jobs:
            job.cancel()
        await asyncio.gather(*context.jobs, return_exceptions=True)
        await plugin.stop()


def require(sandbox: str) -> None:
    """Skip the test where the machine does not have what the sandbox needs."""
    if sandbox == "bubblewrap" and shutil.which("bwrap") is None:
        pytest.skip("bwrap is missing: apt install bubblewrap")
    if sandbox == "landlock" and landlock.abi() < landlock.SIGNALS_SINCE:
        pytest.skip("needs a kernel with Landlock in version 6: Linux 6.12 with lsm=landlock")


def processes_with(text: str) -> list[int]:
    """Return the processes of the machine whose command line holds `text`, this one left out."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                line = Path("/proc", name, "cmdline").read_bytes()
                state = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if text.encode() in line and state != "Z":
                found.append(int(name))
    return found
