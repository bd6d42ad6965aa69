"""Edited plugins, reloaded while everything runs: for who writes one (`--watch`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from core.contracts.errors import RekkuError
from core.contracts.json import JsonObject
from core.registry.component import Component, ComponentState
from core.registry.component_files import Stamp, stamp_of
from core.registry.components import Registry
from core.registry.discovery import Found
from core.registry.switching import PluginSwitch, Switched

log = structlog.get_logger("rekku.plugins")

LOOK_EVERY_S = 1.0
LEFT_ALONE = (ComponentState.DISABLED, ComponentState.QUARANTINED)


class PluginWatch:
    """Looks at the files of all plugins, and at the settings.

    A change counts once it has stood still from one look to the next: an editor may write in several steps. find:
    looks for the plugins that there are now. reread: reads the settings again; table: what they say of a plugin.
    """

    def __init__(
        self,
        registry: Registry,
        switch: PluginSwitch,
        *,
        home: Path,
        find: Callable[[], list[Found]],
        reread: Callable[[], Awaitable[None]],
        table: Callable[[str], object],
    ) -> None:
        self._registry = registry
        self._switch = switch
        self._files = (home / "rekku.toml", home / ".env")
        self._find = find
        self._reread = reread
        self._table = table
        self.tell: Callable[[Switched], Awaitable[None]] | None = None
        """Called with what came of each change, beside the log; must not raise."""
        self._known: dict[str, Stamp] = {}
        self._before: dict[str, Stamp] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        self._known = self._before = await self._stamps()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> list[Switched]:
        """Look once, and do what the changes ask for; return what came of each."""
        now = await self._stamps()
        before, self._before = self._before, now
        done: list[Switched] = []
        for source in now.keys() | self._known.keys():
            stamp = now.get(source)
            if stamp != before.get(source) or stamp == self._known.get(source):
                continue
            self._known = {key: value for key, value in self._known.items() if key != source}
            if stamp is not None:
                self._known[source] = stamp
            done += await self._changed(source, gone=stamp is None)
        for switched in done:
            (log.info if switched.ok else log.error)("a file has changed", answer=switched.text)
            if self.tell is not None:
                await self.tell(switched)
        return done

    async def _changed(self, source: str, *, gone: bool) -> list[Switched]:
        if source in map(str, self._files):
            return await self._settings_changed()
        component = next((c for c in self._registry.components("plugin") if c.source == source), None)
        if gone:
            if component is None:
                return []
            await self._switch.remove(component)
            return [Switched(True, f"{component.name} was stopped: its files are gone.")]
        if component is not None:
            return [] if component.state in LEFT_ALONE else [await self._switch.reload(component.name)]
        found = next((one for one in await asyncio.to_thread(self._find) if one.source == source), None)
        if found is None:
            return []
        new = await self._switch.add(found)
        if self._registry.in_use(new):
            return [Switched(True, f"{new.name} is new, and in use.")]
        return [Switched(False, f"{new.name} is new, and does not work ({new.stage or new.state}): {new.reason}")]

    async def _settings_changed(self) -> list[Switched]:
        plugins: list[Component] = self._registry.components("plugin")
        before = {c.name: self._table(c.name) for c in plugins}
        try:
            await self._reread()
        except RekkuError as error:
            return [Switched(False, f"The settings stay as they were: {error.explain()}")]
        changed = [c.name for c in plugins if self._table(c.name) != before[c.name] and c.state not in LEFT_ALONE]
        return [await self._switch.reload(name) for name in changed]

    async def _stamps(self) -> dict[str, Stamp]:
        def look() -> dict[str, Stamp]:
            stamps: JsonObject = {f.source: stamp_of(f) for f in self._find() if f.folder is not None}
            for file in self._files:
                try:
                    status = file.stat()
                except OSError:
                    continue
                stamps[str(file)] = {str(file): (status.st_mtime_ns, status.st_size)}
            return stamps

        return await asyncio.to_thread(look)
