"""The plugins of a running app: what watches over them, and what changes them while everything else goes on."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from core.code_places import place_of
from core.contracts.services import Clock
from core.plugin_control import PluginControl
from core.plugin_health import PluginHealth
from core.plugin_rest import PluginRest
from core.plugin_watch import PluginWatch
from core.registry.code_owners import code_owner
from core.registry.component import OWN
from core.registry.components import Registry
from core.registry.discovery import Found, discover
from core.registry.switching import PluginSwitch
from core.services import plugin_wishes
from core.services.foreign import ForeignCalls
from core.services.forks import end_forks_of
from core.services.loop_watchdog import MOST_FRAMES, Block, LoopWatchdog
from core.services.mask import Masker
from core.services.strikes import Strikes
from core.settings import Settings
from core.storage.opening import StoredDatabase, database_of
from core.storage.sqlite import LONGEST_S, SqliteDatabase
from core.turn.environment import TurnEnvironment
from core.turn.plugin_actions import PluginActions, PluginControls
from core.turn.tell_trainers import tell_trainers

log = structlog.get_logger("rekku.plugins")


class RunningPlugins:
    """Puts together what the parts below do; `settings` are those that plugins are configured by now."""

    def __init__(
        self,
        settings: Settings,
        *,
        registry: Registry,
        database: StoredDatabase,
        clock: Clock,
        foreign: ForeignCalls,
        masker: Masker,
        objects: Iterable[object],
        reread: Callable[[], Settings] | None,
        env: Callable[[], TurnEnvironment],
    ) -> None:
        self.settings = settings
        self._registry = registry
        self._clock = clock
        self._foreign = foreign
        self._masker = masker
        self._objects = tuple(objects)
        self._read_again = reread
        self._database = database
        self._tasks: set[asyncio.Task[None]] = set()
        self.watchdog: LoopWatchdog | None = None
        self.control = PluginControl(
            registry=registry,
            switch=PluginSwitch(registry, self.find, lambda name: self.strikes.forgive(name)),
            database=database,
            clock=clock,
            reread=self.reread,
            tell=lambda text: tell_trainers(env(), text),
        )
        self.strikes = Strikes(
            settings.watchdog, clock, self.quarantine_soon, lambda principal: env().people.role(principal)
        )
        self._rest = PluginRest(
            registry, clock, least_s=settings.watchdog.block_s, times=settings.watchdog.rest_times
        )
        self.health = PluginHealth(registry, self.control.switch, foreign, clock)
        self.files = PluginWatch(
            registry,
            self.control.switch,
            home=settings.home,
            find=self.find,
            reread=self.reread,
            table=lambda name: self.settings.component("plugins", name),
        )
        foreign.on_end = self.strikes.call_ended
        foreign.on_held = self._held
        if isinstance(database, SqliteDatabase):
            database.on_abandoned = self._abandoned

    def find(self) -> list[Found]:
        """Return the plugins that there are now. Blocks: it looks at the disk."""
        return discover(
            "plugin",
            home=self.settings.home,
            plugin_path=os.pathsep.join(map(str, self.settings.plugin_path)),
            objects=self._objects,
        )

    def actions(self) -> PluginActions:
        """Return the plugin of the core that has the command about plugins."""

        async def ask(what: str, name: str, by: str) -> tuple[bool, str]:
            switched = await self.control.ask(what, name, by)
            return switched.ok, switched.text

        return PluginActions(
            PluginControls(
                plugins=self.control.components,
                ask=ask,
                timezone=self.settings.timezone,
                mask=self._masker.text,
            )
        )

    async def reread(self) -> None:
        """Read the settings again, for what is loaded from now on; raises ConfigurationError."""
        if self._read_again is None:
            return
        settings = await asyncio.to_thread(self._read_again)
        for name, value in settings.secrets().items():
            self._masker.learn(name, value)
        self.settings = settings

    def start(self, noticed_s: float, *, watch: bool) -> None:
        """Begin to watch over the plugins. noticed_s: seconds within which what others ask is noticed."""
        self.watchdog = LoopWatchdog(
            asyncio.get_running_loop(),
            self._foreign,
            self._owner_of,
            self.settings.watchdog,
            self._blocked,
            self._stuck,
        )
        self.watchdog.start()
        end_forks_of(asyncio.get_running_loop())
        self._begin(lambda: self.control.follow(noticed_s), "wishes of plugins")
        self._begin(self.health.run, "health of plugins")
        if watch:
            self._begin(self.files.run, "files of plugins")

    async def stop(self) -> None:
        """Watch no longer, and change nothing any more."""
        if self.watchdog is not None:
            self.watchdog.stop()
        self.health.stop()
        self._rest.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.control.stop()

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        async def run() -> None:
            try:
                await work()
            except Exception as error:
                log.error("what watches over plugins has ended", work=name, exc_info=error)

        task = asyncio.get_running_loop().create_task(run(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _owner_of(self, file: str) -> str:
        return code_owner(file, self._registry.components("plugin"), lambda component: component.source == OWN)

    def _is_own(self, name: str) -> bool:
        component = self._registry.get("plugin", name)
        return component is not None and component.source == OWN

    def _blocked(self, block: Block) -> None:
        if block.owner and not self._is_own(block.owner):
            self._rest.begin(block)
            self.strikes.blocked(block)

    def _held(self, owner: str, seconds: float, where: str) -> None:
        if self.watchdog is not None:
            seconds -= self.watchdog.stalled_s(seconds)
        if seconds < self.settings.watchdog.block_s:
            return
        log.warning("a transaction took long", plugin=owner, seconds=round(seconds, 2), where=where)
        self._blocked(Block(owner=owner, seconds=seconds, call="", where=where, what="It held a transaction"))

    def _abandoned(self, thread: int, function: Callable[..., Any]) -> None:
        """Name whose function holds the database in a thread of its own that cannot be ended."""
        frame, owner = sys._current_frames().get(thread), ""
        for _ in range(MOST_FRAMES):
            if frame is None or owner:
                break
            owner = self._owner_of(frame.f_code.co_filename)
            frame = frame.f_back
        where = place_of(function)
        log.error("a transaction does not end, and was undone", plugin=owner, where=where)
        if owner:
            self.quarantine_soon(owner, f"It held a transaction for {LONGEST_S:g} s, at {where}; that was undone.")

    def quarantine_soon(self, name: str, reason: str) -> None:
        """Begin to put a plugin into quarantine; see `PluginControl.quarantine`. The core's own never are."""
        if self._is_own(name):
            log.error("the core does harm", part=name, reason=reason)
            return
        self._begin(lambda: self.control.quarantine(name, reason), f"quarantine of {name}")

    def _stuck(self, block: Block) -> None:
        """Note, from the watchdog's thread, who holds up the loop: the next start is to leave that plugin out."""
        if block.owner:
            asyncio.run(self._note_stuck(block))

    async def _note_stuck(self, block: Block) -> None:
        shared = self._database.dialect == "sqlite"  # it answers in any loop; a server's connections do not
        database = self._database if shared else database_of(self.settings)
        now_ms, reason = self._clock.now_ms(), f"{block.sentence}, and did not end."
        if not shared:
            await database.start()
        try:
            await database.transact(lambda conn: plugin_wishes.quarantine(conn, block.owner, reason, now_ms))
        finally:
            if not shared:
                await database.stop()
