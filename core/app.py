"""The composition root: builds everything from the settings, starts it in order and stops it in reverse."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

import structlog

from core.component_context import ComponentContext
from core.contracts.deliveries import Activity
from core.contracts.errors import RekkuError
from core.contracts.inputs import Accepted, Address, Input
from core.contracts.prompts import Budget
from core.contracts.services import Clock, PluginContext
from core.core_jobs import core_jobs
from core.engine_base import EngineBase
from core.engine_choice import choose_engines, what_is_missing
from core.interface_base import InterfaceBase
from core.ownership import ALL_DUTIES, Duty, Ownership
from core.registry.components import Component, ComponentState, Registry, Stage
from core.registry.discovery import Found, discover
from core.services import inbox, moved_chats, outbox, reminders
from core.services.budgets import budgets_of
from core.services.clock import SystemClock
from core.services.engines import Engines
from core.services.figures import Figures
from core.services.foreign import ForeignCalls, Raised
from core.services.hooks import HookRunner
from core.services.mask import Masker
from core.services.people import People
from core.services.periodic import PeriodicJobs, jobs_of
from core.services.policy import read_rules
from core.services.retention import Retention
from core.services.schedule import StoredSchedule
from core.services.tokens import TokenEstimate
from core.settings import Settings, ensure_home
from core.storage import schema
from core.storage.opening import StoredDatabase, database_of
from core.turn.command_menus import tell_commands
from core.turn.core_actions import Controls, CoreActions
from core.turn.deliver import Deliverer
from core.turn.dispatch import Dispatcher
from core.turn.environment import Limits, TurnEnvironment
from core.turn.keep_people import keep_people
from core.turn.keep_schedule import ScheduleKeeper
from core.turn.outgoing import Outgoing
from core.turn.people_actions import PeopleActions
from core.turn.receive import Receiver
from core.turn.reroute_reminder import parts_instead
from core.turn.summarize import Summaries

log = structlog.get_logger("rekku.app")

INTERFACE_START_S = 60.0
INTERFACE_STOP_S = 10.0
DRAIN_S = 10.0
ENDING_SHARE = 0.8
"""Of that: for what runs to end. The rest is for handing over what did not, within the time all the same."""

ACTIVITY_S = 2.0
NOTICED_WITHIN_S = 5.0
NOTICED_WITHIN_APART_S = 0.5
"""How soon what another process has put into the tables is noticed, where processes share the work on purpose."""


class App:
    """A running Rekku: `async with App(settings, plugins=[…]) as app`.

    plugins, interfaces, engines: objects beside those that are found. serve: the names of the interfaces to start;
    None: all that are configured and need nobody at a terminal. duties: what this process does where several share
    one database server, by default all. database: in place of the settings' own, not started. reached:
    called with the label of each point of the path that is passed. Starting raises RekkuError when the home or the
    database cannot be used, or an engine is named that does not exist; a component that fails is reported and the
    rest runs.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        plugins: Iterable[object] = (),
        interfaces: Iterable[InterfaceBase] = (),
        engines: Iterable[EngineBase] = (),
        serve: Collection[str] | None = None,
        clock: Clock | None = None,
        masker: Masker | None = None,
        duties: Collection[Duty] = ALL_DUTIES,
        database: StoredDatabase | None = None,
        reached: Callable[[str], None] = lambda label: None,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.masker = masker or Masker()
        for name, value in settings.secrets().items():
            self.masker.learn(name, value)
        self.database = database or database_of(settings)
        self.duties = frozenset(duties) or ALL_DUTIES
        self._ownership = Ownership(settings, self.duties)
        self.foreign = ForeignCalls()
        self.figures = Figures()
        self.schedule = StoredSchedule(self.database, self.clock)
        self._objects = {"plugin": tuple(plugins), "interface": tuple(interfaces), "engine": tuple(engines)}
        self._serve = serve
        self._reached = reached
        self._contexts: dict[tuple[str, str], ComponentContext] = {}
        self._interfaces: dict[str, InterfaceBase] = {}
        self._stack = AsyncExitStack()
        self._jobs: set[asyncio.Task[None]] = set()
        self.registry = Registry(
            foreign=self.foreign,
            clock=self.clock,
            make_context=self._make_context,
            config_for=lambda kind, name: settings.component(f"{kind}s", name),
            release_context=self._release_context,
            on_change=self._component_changed,
            learn_secret=self.masker.learn,
        )
        self.periodic = PeriodicJobs(self.foreign, settings.timezone)
        self.hooks = HookRunner(lambda: self.registry.hooks, self.foreign)
        self.env: TurnEnvironment
        self.dispatcher: Dispatcher
        self.deliverer: Deliverer
        self.schedule_keeper: ScheduleKeeper
        self._receiver: Receiver

    async def __aenter__(self) -> App:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def interfaces(self) -> Mapping[str, InterfaceBase]:
        """The interfaces that run, by name."""
        return self._interfaces

    def interface(self, name: str) -> InterfaceBase:
        """Return a running interface; raises RekkuError that says why it does not run."""
        if name in self._interfaces:
            return self._interfaces[name]
        component = self.registry.get("interface", name)
        reason = component.reason if component is not None else "it was not found"
        raise RekkuError(f"The interface {name} does not run: {reason or 'it is not to be served'}.")

    async def receive(self, input: Input) -> Accepted:
        """Take an input in; returns once it is durable. See `core.turn.receive`."""
        return await self._receiver.receive(input)

    async def drained(self) -> None:
        """Wait until nothing is left to do that could be done now."""
        while True:
            now_ms = self.clock.now_ms()
            waiting = await self.database.read(
                lambda conn, at=now_ms: inbox.open_lanes(conn, at) or reminders.due(conn, at, 1)  # type: ignore[misc]
            )
            # Asked last: what was claimed while the inbox was being read is not open there any more.
            if not waiting and not self.dispatcher.busy and not self.deliverer.busy:
                return
            await asyncio.sleep(0.02)

    async def load(self) -> None:
        """Load every component and start none: all that is needed to tell of them. A part of starting."""
        # First, so that no plugin can take the name of one of them: of two, the later one fails to load.
        controls = Controls(stop_turn=lambda *args: self.dispatcher.stop_turn(*args))
        core_actions = CoreActions(lambda: self.env, controls)
        people_actions = PeopleActions(lambda: self.env)
        own = {"core": core_actions, "core_people": people_actions}
        await self.registry.load(
            "plugin",
            [Found(kind="plugin", name=name, source="core", load=lambda o=o: o) for name, o in own.items()],  # type: ignore[misc]
        )
        for kind in ("plugin", "engine", "interface"):
            found = discover(
                kind,
                home=self.settings.home,
                plugin_path=os.pathsep.join(map(str, self.settings.plugin_path)),
                objects=self._objects[kind],
            )
            await self.registry.load(kind, found)

    def choose_engines(self) -> Engines:
        """Return the loaded engines that can be used; a part of starting. See `core.engine_choice`."""
        return choose_engines(self.registry, self.settings.engine, self.foreign, self.masker, self.figures)

    async def _start(self) -> None:
        settings = self.settings
        ensure_home(settings)
        self._stack.enter_context(self._ownership.held())
        await self.database.start()
        self._stack.push_async_callback(self.database.stop)
        await schema.upgrade(self.database)
        if (gone := self._ownership.predecessors) is not None:
            await self.database.transact(lambda conn: _expire_leases(conn, gone), durable=False)
        self._stack.push_async_callback(self._cancel_jobs)
        await self.load()
        self._engines = self.choose_engines()
        self._stack.push_async_callback(self._engines.stop)
        self._build()
        await self.env.people.refresh(self.database)
        await self._start_interfaces()
        self._stack.push_async_callback(self._stop_serving)
        if Duty.GATEWAY in self.duties:
            await self.deliverer.start()
        if Duty.WORKER in self.duties:
            await self.dispatcher.start()
        if Duty.SCHEDULER in self.duties:
            self._own(self.schedule_keeper.run(), "schedule")
            self.periodic.add("core", core_jobs(self.env, settings))
            self._own(self.periodic.start(), "periodic jobs")
            self._stack.push_async_callback(self.periodic.stop)
        self._own(keep_people(self.env), "people")

    def _build(self) -> None:
        settings = self.settings
        people = People(settings.trainer_ids, settings.access, lambda: self._interfaces)
        owner = self._ownership.owner
        apart = self.duties != ALL_DUTIES
        noticed_s = NOTICED_WITHIN_APART_S if apart else NOTICED_WITHIN_S
        self.deliverer = Deliverer(
            owner=owner,
            database=self.database,
            clock=self.clock,
            foreign=self.foreign,
            masker=self.masker,
            interfaces=lambda: self._interfaces,
            reached=self._reached,
            instead=lambda dead, reason: parts_instead(self.env, dead, reason),
            scan_every_s=noticed_s,
        )
        prompt = settings.prompt
        self.env = TurnEnvironment(
            owner=owner,
            database=self.database,
            clock=self.clock,
            foreign=self.foreign,
            hooks=self.hooks,
            generation=lambda: self.registry.generation,
            engines=self._engines,
            rules=tuple(read_rules(settings.policy_rules)),
            people=people,
            masker=self.masker,
            outgoing=Outgoing(
                interfaces=lambda: self._interfaces, hooks=self.hooks, foreign=self.foreign, masker=self.masker
            ),
            tokens=TokenEstimate(),
            budget_tokens=Budget(
                history=prompt.history_tokens,
                summary=prompt.summary_tokens,
                context=prompt.context_tokens,
                context_per_plugin=prompt.per_plugin_context_chars,
            ),
            limits=Limits(
                corrector_retries=settings.corrector_retries,
                engine_deadline_s=settings.engine_deadline_s,
                max_steps=settings.max_steps,
            ),
            budgets=budgets_of(settings.budgets),
            show=self._show,
            wake_outbox=self.deliverer.wake,
            retention=Retention(settings.retention),
            schedule=self.schedule,
            wake_schedule=lambda: self.schedule_keeper.wake(),
            summarize=Summaries(lambda: self.env, self._own).soon,
            reached=self._reached,
            figures=self.figures,
        )
        self.dispatcher = Dispatcher(self.env, self.deliverer.settled, scan_every_s=noticed_s)
        self.schedule_keeper = ScheduleKeeper(self.env, self.dispatcher.scan_soon, look_every_s=noticed_s)
        self._receiver = Receiver(self.env, self.dispatcher.wake, self.dispatcher.turned_away)

    async def _start_interfaces(self) -> None:
        # Plugins may need what an interface brings and the other way round; actions are there before inputs come.
        await self.registry.start_plugins()
        self._stack.push_async_callback(self.registry.stop_plugins)
        self._stack.push_async_callback(self._stop_interfaces)
        for component in self.registry.components("interface"):
            if component.state is ComponentState.FOUND and self._wanted(component):
                await self._start_interface(component)

    def _wanted(self, component: Component) -> bool:
        interface: InterfaceBase = component.instance
        if self._serve is not None:
            return component.name in self._serve or interface in self._objects["interface"]
        return not interface.attended

    async def _start_interface(self, component: Component) -> None:
        interface: InterfaceBase = component.instance
        interface.name = component.name
        missing = what_is_missing(self.registry, component)
        if missing:
            component.reason = component.reason or f"off: {missing}"
            return
        if not self.registry.prepare(component):
            return
        if Duty.GATEWAY not in self.duties:
            self._interfaces[component.name] = interface  # not started: it only renders what the gateway sends
            return
        interface.moved = self._chat_moved
        tell_commands(interface, self.env)
        self._interfaces[component.name] = interface
        started = await self.foreign.call(
            f"start of interface {component.name}", lambda: interface.start(self.receive), INTERFACE_START_S
        )
        if isinstance(started, Raised):
            del self._interfaces[component.name]
            self.registry.fail(component, Stage.START, started.error)
            return
        self.registry.activated(component)

    def _component_changed(self, component: Component) -> None:
        if component.kind == "plugin":
            active = component.state is ComponentState.ACTIVE
            self.periodic.add(component.name, jobs_of(component.instance) if active else [])

    async def _chat_moved(self, old: Address, new: Address) -> None:
        """Let everything that is stored of a chat go on under its new address."""
        rows = await self.database.transact(lambda conn: moved_chats.move(conn, old, new))
        log.info("a chat has moved", before=str(old), after=str(new))
        self.deliverer.wake(rows)
        self.dispatcher.scan_soon()

    async def _stop_interfaces(self) -> None:
        for name, interface in reversed(self._interfaces.items()) if Duty.GATEWAY in self.duties else ():
            stopped = await self.foreign.call(f"stop of interface {name}", interface.stop, INTERFACE_STOP_S)
            if isinstance(stopped, Raised):
                log.warning("did not stop cleanly", interface=name, error=stopped.sentence)
        self._interfaces.clear()

    async def _stop_serving(self) -> None:
        """Stop intake, let what runs end, send what can be sent; the rest waits in the tables."""
        self._receiver.open = False
        deadline = self.clock.monotonic() + DRAIN_S
        await self.dispatcher.stop(DRAIN_S * ENDING_SHARE)
        await self.deliverer.stop(max(deadline - self.clock.monotonic(), 0.0))

    def _make_context(self, kind: str, name: str) -> PluginContext:
        context = ComponentContext(
            kind=kind,
            name=name,
            home=self.settings.home,
            timezone=self.settings.timezone,
            clock=self.clock,
            database=self.database,
            schedule=self.schedule,
            shared_services=self.registry.services,
        )
        self._contexts[kind, name] = context
        return context

    async def _release_context(self, kind: str, name: str) -> None:
        context = self._contexts.pop((kind, name), None)
        if context is not None:
            await context.release()

    async def _show(self, activity: Activity) -> None:
        interface = self._interfaces.get(activity.address.interface) if Duty.GATEWAY in self.duties else None
        if interface is not None and type(interface).activity is not InterfaceBase.activity:
            await self.foreign.call("activity", lambda: interface.activity(activity), ACTIVITY_S)

    def _own(self, work: Awaitable[None], name: str) -> None:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run(), name=name)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _cancel_jobs(self) -> None:
        for task in list(self._jobs):
            task.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        for context in self._contexts.values():
            await context.release()


def _expire_leases(conn: Any, owner: str) -> None:
    inbox.expire_leases(conn, owner)
    outbox.expire_leases(conn, owner)
