"""What the registry has in place of a plugin that runs in a process of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from core.ai_plugin_base import current_action
from core.component_context import ComponentContext
from core.contracts.actions import ActionContext, ActionSpec
from core.contracts.deliveries import Delivery, Health
from core.contracts.errors import ActionFailed, RekkuError
from core.contracts.events import Event
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Principal
from core.contracts.json import Json, JsonObject
from core.contracts.services import Clock, PluginContext
from core.contracts.steps import Step
from core.isolation.acting import Acting
from core.isolation.child_process import LivingChild
from core.isolation.crossing_errors import PluginProcessDied
from core.isolation.declared import Declared
from core.isolation.holdings import Holdings
from core.isolation.limits import Limits
from core.isolation.peer import VERSION
from core.isolation.requests import Requests
from core.services.event_calls import answer_wanted
from core.services.periodic import BringsJobs, Job

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
MOST_DEATHS = 5
DEATHS_WITHIN_S = 600.0
"""So many deaths within so many seconds put a plugin into quarantine."""

FORGOTTEN_AFTER_S = 3600.0
START_S = 30.0
STOP_S = 5.0


class IsolatedPlugin(BringsJobs):
    """A plugin with the methods of any other, each of which asks the plugin's process.

    given: what the process needs to find the plugin. config: returns (values, error, enabled, priority) of a
    name, as far as they are this plugin's. works, quarantine: are told of a reason; "" says that it works again.
    """

    def __init__(
        self,
        name: str,
        given: JsonObject,
        limits: Limits,
        *,
        clock: Clock,
        config: Callable[[str], tuple[JsonObject, str, bool, int | None]],
        works: Callable[[IsolatedPlugin, str], None],
        quarantine: Callable[[IsolatedPlugin, str], None],
    ) -> None:
        self.name = name
        self.context: PluginContext | None = None
        self.declared = Declared()
        self._given = given
        self._limits = limits
        self._clock = clock
        self._config = config
        self._works = works
        self._quarantine = quarantine
        self._log = structlog.get_logger("rekku.plugin").bind(plugin=name)
        self._child: LivingChild | None = None
        self._started = False
        self._begun = False
        self._why_down = ""
        self._deaths: deque[float] = deque()
        self._restarting: asyncio.Task[None] | None = None
        self._acting = Acting(clock)
        self._requests = Requests(self._acting, self._tell, self._redeclared)
        self._holdings: Holdings | None = None
        self._config_asked = False

    @property
    def alive(self) -> bool:
        """Whether it has a process, or will have one again by itself."""
        return self._child is not None or self._restarting is not None

    # What the registry and the catalogue ask

    async def load(self) -> JsonObject:
        """Start a process, have it load the plugin, and return what it says; it is ended when that fails."""
        await self._end()
        self._config_asked = False
        self._child = child = LivingChild(
            self.name, self._limits, self._log, serve=self._serve, told=self._told, died=self._on_death
        )
        self._holdings = Holdings(child, self._clock, self._log)
        try:
            answer = await child.call("load", VERSION, self._given)
            if not isinstance(answer, dict):
                raise RekkuError(f"The process of {self.name} did not say what it has loaded.")
            if answer.get("enabled"):
                self.declared = Declared.read(answer)
        except BaseException:
            await asyncio.shield(self._end())
            raise
        if "failed" in answer or not answer.get("enabled"):
            await self._end()
        return answer

    def get_supported_action_types(self) -> list[str]:
        """Return the types of the plugin's actions."""
        return list(self.declared.specs)

    def get_supported_actions(self) -> dict[str, JsonObject]:
        """Return the declarations of the plugin's actions."""
        return {type_: self.declared.declaration(type_) for type_ in self.declared.specs}

    def get_prompt_instructions(self, action_name: str) -> JsonObject:
        """Return nothing: the declarations are whole."""
        return {}

    async def validate_payload(self, action_type: str, payload: JsonObject) -> list[str]:
        """Have the plugin check a payload; while its process is away, nothing passes."""
        if not self._up:
            return [f"{action_type} cannot be checked: the process of its plugin is being started again."]
        said: list[str] = await self._call("check", action_type, payload)
        return said

    async def handle_custom_action(self, action_type: str, payload: JsonObject) -> Json:
        """Have the plugin run an action; what it wants sent is handed over here."""
        ctx = current_action.get()
        with self._acting.run(ctx) as number:
            try:
                answer = await self._call("act", number, action_type, payload, self._facts(ctx))
            except (asyncio.CancelledError, PluginProcessDied):
                await self._acting.end_calls(number)
                raise
        match answer:
            case [result, list() as deliveries, undo] if all(isinstance(one, Delivery) for one in deliveries):
                for delivery in deliveries:
                    ctx.deliver(replace(delivery, tainted=delivery.tainted or ctx.tainted))
                if isinstance(undo, dict):
                    ctx.compensate(undo)
                return result
        raise RekkuError(f"The process of {self.name} gave an answer that is none.")

    def hook(self, index: int) -> Callable[..., Awaitable[Any]]:
        """Return what calls one of the plugin's hooks."""

        async def call(*args: Any) -> Any:
            return await self._call("hook", index, list(args), self._clock.now_ms())

        return call

    def handler(self, index: int) -> Callable[..., Awaitable[Any]]:
        """Return what calls one of the plugin's event handlers."""

        async def call(event: Event) -> Any:
            return await self._call("event", index, event, answer_wanted.get(), self._clock.now_ms())

        return call

    def condition(self, index: int) -> Callable[..., Awaitable[Any]]:
        """Return what asks the condition of one of them."""

        async def call(event: Event) -> Any:
            return await self._call("condition", index, event)

        return call

    def strategy(self, index: int) -> Callable[..., Awaitable[Any]]:
        """Return what asks one of the plugin's turn strategies."""

        async def call(turn: TurnContext, steps: Sequence[Step]) -> Any:
            return await self._call("strategy", index, turn, steps, self._clock.now_ms())

        return call

    def jobs(self) -> list[Job]:
        """Return the plugin's periodic jobs."""
        return [job(partial(self._job, name)) for name, job in self.declared.jobs.items()]

    # The life of the plugin

    async def start(self) -> None:
        """Start the plugin in a process of its own."""
        await self._cancel_restart()
        self._deaths.clear()
        child = await self._prepared()
        self._begun = True
        await child.call("start")
        self._started, self._why_down = True, ""

    async def stop(self) -> None:
        """Stop the plugin, and end its process with all that it has started."""
        begun, self._started, self._begun = self._begun, False, False
        await self._cancel_restart()
        child = self._child
        try:
            if begun and child is not None and child.usable:
                async with asyncio.timeout(STOP_S):
                    await child.call("stop")
        finally:
            await asyncio.shield(self._end())

    async def health(self) -> Health:
        """Ask the plugin whether it works."""
        if self._started and self._child is None:
            return Health(ok=False, detail=self._why_down or "its process is being started again")
        answer = await self._call("health")
        return answer if isinstance(answer, Health) else Health(ok=True)

    async def examine(self) -> Health | None:
        """Ask the plugin what a start would find."""
        answer = await self._asked_alone("examine")
        return answer if isinstance(answer, Health) else None

    async def export_person(self, principal: Principal) -> Json:
        """Ask the plugin what it keeps of a person."""
        return await self._asked_alone("export_person", principal)

    async def erase_person(self, principal: Principal) -> Any:
        """Have the plugin delete what it keeps of a person."""
        return await self._asked_alone("erase_person", principal)

    async def _asked_alone(self, name: str, *args: Any) -> Any:
        """Ask what is asked of a plugin that is loaded and may not be started."""
        child = self._child if self._started else await self._prepared()
        if child is None:
            raise ActionFailed(self._down())
        try:
            return await child.call(name, *args)
        finally:
            if not self._started:
                await asyncio.shield(self._end())

    async def _prepared(self) -> LivingChild:
        """Return a process that has loaded the plugin and given it its context."""
        child = self._child
        if child is None or not child.usable:
            answer = await self.load()
            if "failed" in answer:
                raise RekkuError(str(answer["failed"][1]))
            child = self._child
        if child is None:
            raise RekkuError(f"{self.name} is disabled.")
        if self.context is not None:
            directory, told = str(_directory(self.context)), self.context
            await child.call("context", self.name, directory, told.timezone, self._clock.now_ms(), told.rehearsal)
        return child

    @property
    def _up(self) -> bool:
        return self._started and self._restarting is None and self._child is not None and self._child.usable

    async def _call(self, name: str, *args: Any) -> Any:
        child = self._child
        if child is None or not self._up:
            raise ActionFailed(self._down(), cure="Try again in a moment.")
        return await child.call(name, *args)

    def _down(self) -> str:
        if not self._started:
            return f"The plugin {self.name} is not started."
        return f"The plugin {self.name} is being started again: {self._why_down}"

    async def _end(self) -> None:
        child, self._child = self._child, None
        holdings, self._holdings = self._holdings, None
        if holdings is not None:
            await holdings.close()
        if child is not None:
            await child.end()

    def _on_death(self, child: LivingChild, reason: str) -> None:
        if child is not self._child:
            return
        self._child = None
        if self._holdings is not None:
            self._holdings.drop()
            self._holdings = None
        if self._started:
            self._plan_restart(reason)

    def _plan_restart(self, reason: str) -> None:
        now = self._clock.monotonic()
        self._deaths.append(now)
        while now - self._deaths[0] > FORGOTTEN_AFTER_S:
            self._deaths.popleft()
        self._why_down = reason
        recent = sum(now - at <= DEATHS_WITHIN_S for at in self._deaths)
        if recent >= MOST_DEATHS:
            self._started = False
            self._quarantine(self, f"its process ended {recent} times, the last time because {reason}")
            return
        pause_s = min(FIRST_PAUSE_S * 2 ** (len(self._deaths) - 1), LONGEST_PAUSE_S)
        self._works(self, f"{reason}; it is started again in {pause_s:g} s")
        self._restarting = asyncio.get_running_loop().create_task(
            self._restart(pause_s), name=f"isolation: restart of {self.name}"
        )

    async def _restart(self, pause_s: float) -> None:
        await self._clock.sleep(pause_s)
        before = self.declared
        try:
            async with asyncio.timeout(START_S):
                child = await self._prepared()
                if self.declared.places != before.places:
                    reload = f"Have it loaded anew: rekku plugins reload {self.name}."
                    raise RekkuError(f"{self.name} declares other hooks or handlers than before.", cure=reload)
                await child.call("start")
            if before.specs != self.declared.specs and self.context is not None:
                await self.context.actions_changed()
        except Exception as error:  # noqa: BLE001 - foreign code; the reason is told, and it is tried again
            await self._end()
            self._restarting, self.declared = None, before
            self._plan_restart(f"it could not be started again ({type(error).__name__}: {error})")
            return
        self._why_down = ""
        self._restarting = None
        self._works(self, "")

    async def _cancel_restart(self) -> None:
        restarting, self._restarting = self._restarting, None
        if restarting is not None:
            restarting.cancel()
            await asyncio.wait({restarting})

    async def _job(self, name: str) -> None:
        await self._call("job", name, self._clock.now_ms())

    def _facts(self, ctx: ActionContext) -> JsonObject:
        names = ("principal", "role", "address", "origin", "turn_id", "action_id", "tainted")
        return {**{name: getattr(ctx, name) for name in names}, "now_ms": self._clock.now_ms()}

    # What the process asks back

    def _tell(self, name: str, *args: Any) -> None:
        if self._child is not None:
            self._child.peer.tell(name, *args)

    def _told(self, name: str, args: list[Any]) -> None:
        match name, args:
            case "progress", [int() as number, str() as text]:
                self._acting.show(number, text)
            case _ if self._holdings is not None and isinstance(self.context, ComponentContext):
                self._holdings.told(self.context, name, args)

    async def _serve(self, name: str, args: list[Any]) -> Any:
        match name, args:
            case "config", [str() as asked] if not self._config_asked:
                self._config_asked = True
                return list(self._config(asked))
        if self.context is None:
            raise RekkuError(f"{name} is there once the plugin has been given its context.")
        return await self._requests.serve(self.context, name, args)

    async def _redeclared(self, specs: list[ActionSpec]) -> None:
        if self.context is None:
            return
        before, self.declared = self.declared, self.declared.with_specs(specs)
        try:
            await self.context.actions_changed()
        except BaseException:
            self.declared = before
            raise


def _directory(context: PluginContext) -> Path:
    """Return where the data directory is or is to be; the plugin makes it when it first asks for it."""
    if isinstance(context, ComponentContext):
        return context.home / "data" / context.name
    return context.data_directory
