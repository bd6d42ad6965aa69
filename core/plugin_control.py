"""What people and the watchdog want of single plugins, carried out in the process that runs them.

A wish is durable first (`core.services.plugin_wishes`), whoever has it: a command in a chat, the command line beside
this process, or the quarantine. So a restart and every other process of the installation know of it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

import structlog

from core.contracts.errors import RekkuError, StorageError
from core.contracts.services import Clock, Database
from core.near_names import suggestion
from core.registry.component import OWN, Component, ComponentState, Held
from core.registry.components import Registry
from core.registry.switching import PluginSwitch, Switched
from core.services import plugin_wishes
from core.services.plugin_wishes import DISABLE, ENABLE, RELOAD, Wish

T = TypeVar("T")
log = structlog.get_logger("rekku.plugins")

BY_COMMAND = "disabled by command"
MOST_TRIES_TO_KEEP = 5


class PluginControl:
    """Carries wishes out.

    reread: reads the settings again; raises ConfigurationError. tell: writes to the trainers.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        switch: PluginSwitch,
        database: Database,
        clock: Clock,
        reread: Callable[[], Awaitable[None]],
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        self.switch = switch
        self._registry = registry
        self._database = database
        self._clock = clock
        self._reread = reread
        self._tell = tell
        self._seen: dict[str, int] = {}
        self._changes: set[asyncio.Task[Any]] = set()
        self._closed = False
        self.wishes: dict[str, Wish] = {}

    async def begin(self) -> None:
        """Read what is wanted, before anything is loaded; what was asked of another process is not done again."""
        self.wishes = await self._database.read(plugin_wishes.everyone)
        self._seen = {name: wish.asked for name, wish in self.wishes.items()}

    def held_back(self, name: str) -> Held | None:
        """Return why a plugin is to be left out, None when it is not."""
        wish = self.wishes.get(name)
        if wish is None:
            return None
        if wish.quarantined:
            return Held(ComponentState.QUARANTINED, wish.quarantined)
        return Held(ComponentState.DISABLED, f"{BY_COMMAND} ({wish.by})") if wish.disabled else None

    async def follow(self, every_s: float) -> None:
        """Notice what others have asked, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.catch_up()
            except StorageError as error:
                log.warning("what is wanted of plugins cannot be read", error=str(error))

    async def catch_up(self) -> None:
        """Do what others have asked since the last look, and answer."""
        self.wishes = await self._database.read(plugin_wishes.everyone)
        for name, wish in self.wishes.items():
            component = self._registry.get("plugin", name)
            if wish.asked > self._seen.get(name, 0):
                self._seen[name] = wish.asked
                await self._on_its_own(self._carry_out(name, wish))
            elif wish.quarantined and component is not None and self._registry.in_use(component):
                await self.switch.off(name, ComponentState.QUARANTINED, wish.quarantined)

    async def ask(self, what: str, name: str, by: str) -> Switched:
        """Note a wish (`enable`, `disable` or `reload`) and carry it out; return what came of it."""
        if refusal := self._refusal(name):
            return Switched(False, refusal)
        now_ms = self._clock.now_ms()
        wish = await self._database.transact(lambda conn: plugin_wishes.ask(conn, name, what, by, now_ms))
        self._seen[name] = wish.asked
        self.wishes = {**self.wishes, name: wish}
        return await self._on_its_own(self._carry_out(name, wish))

    async def stop(self) -> None:
        """Break off what is being changed, and change nothing more: all are stopped together."""
        self._closed = True
        for task in self._changes:
            task.cancel()
        await asyncio.gather(*self._changes, return_exceptions=True)

    async def quarantine(self, name: str, reason: str) -> None:
        """Take a plugin out of use until somebody enables it, stop it, and tell the trainers."""
        component = self._registry.get("plugin", name)
        if component is None or component.source == OWN or component.state is ComponentState.QUARANTINED:
            return
        self._registry.withhold(component, ComponentState.QUARANTINED, reason)  # at once: what follows takes a while
        log.error("a plugin is quarantined", plugin=name, reason=reason)
        await self._keep_quarantine(name, reason)
        await self._on_its_own(self.switch.off(name, ComponentState.QUARANTINED, reason, only=component))
        text = (
            f"The plugin {name} is quarantined and not used any more: {reason}\n`/plugins enable {name}` lifts that."
        )
        try:
            await self._tell(text)
        except RekkuError as error:
            log.warning("nobody could be told of a quarantine", plugin=name, error=error.explain())

    def components(self) -> list[Component]:
        """Return all plugins, in load order."""
        return self._registry.components("plugin")

    async def _keep_quarantine(self, name: str, reason: str) -> None:
        now_ms = self._clock.now_ms()
        for _ in range(MOST_TRIES_TO_KEEP):
            try:
                wish = await self._database.transact(
                    lambda conn: plugin_wishes.quarantine(conn, name, reason, now_ms)
                )
            except StorageError as error:
                log.warning("a quarantine could not be stored", plugin=name, error=str(error))
                await self._clock.sleep(1.0)
            else:
                self.wishes = {**self.wishes, name: wish}
                return

    def _refusal(self, name: str) -> str:
        component = self._registry.get("plugin", name)
        if self._closed:
            return f"{name} stays as it is: Rekku is going down."
        if component is None:
            known = [c.name for c in self._registry.components("plugin") if c.source != OWN]
            return f"There is no plugin {name}. {suggestion(name, known)}".strip()
        return f"{name} belongs to the core: it cannot be changed." if component.source == OWN else ""

    async def _carry_out(self, name: str, wish: Wish) -> Switched:
        switched = Switched(False, self._refusal(name))
        if not switched.text:
            switched = await self._switched(name, wish)
        log.info("plugin", plugin=name, wanted=wish.what, by=wish.by, ok=switched.ok, answer=switched.text)
        await self._database.transact(
            lambda conn: plugin_wishes.answer(conn, name, wish.asked, ok=switched.ok, text=switched.text)
        )
        return switched

    async def _switched(self, name: str, wish: Wish) -> Switched:
        component = self._registry.get("plugin", name)
        state = None if component is None else component.state
        # Of several wishes between two looks only the last is seen: what the others have made durable holds, too.
        if wish.what == DISABLE or (wish.disabled and state is not ComponentState.DISABLED):
            stopped = [c.name for c in self._registry.dependents(name)]
            await self.switch.off(name, ComponentState.DISABLED, f"{BY_COMMAND} ({wish.by})")
            if wish.what != DISABLE:
                return Switched(False, f"{name} is disabled: enable it, which loads it anew.")
            also = f", and with it {', '.join(stopped)}" if stopped else ""
            return Switched(True, f"{name} is disabled{also}, until it is enabled.")
        if wish.what not in (ENABLE, RELOAD):
            return Switched(False, f"There is nothing like {wish.what}.")
        try:
            await self._reread()
        except RekkuError as error:
            return Switched(False, f"{name} stays as it is, the configuration cannot be read: {error.explain()}")
        enabled = wish.what == ENABLE or (state is ComponentState.DISABLED and not wish.disabled)
        try:
            return await (self.switch.on(name) if enabled else self.switch.reload(name))
        except OSError as error:
            return Switched(False, f"{name} stays as it is, plugins cannot be looked for: {error}.")

    async def _on_its_own(self, work: Coroutine[Any, Any, T]) -> T:
        """Await in a context of its own: what is begun there goes on for long, and is no part of the turn that asked.

        Whoever asked may be cancelled, by a deadline say: a plugin that is half changed is in use no more, and nobody
        would bring it back. So the change goes on.
        """
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)
