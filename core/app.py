"""The composition root: builds everything from the settings, starts it in order and stops it in reverse."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType

import structlog

from core.component_host import ComponentHost
from core.contracts.errors import RekkuError
from core.contracts.inputs import Accepted, Address, Input
from core.contracts.prompts import Budget, CatalogueBudget
from core.contracts.services import Clock
from core.core_jobs import core_jobs
from core.core_plugins import core_plugins
from core.engine_base import EngineBase
from core.engine_choice import choose_engines
from core.interface_base import InterfaceBase
from core.isolation.host import IsolationHost
from core.ownership import ALL_DUTIES, Duty, Ownership, expire_leases
from core.registry.components import Registry
from core.registry.discovery import Found, discover, given
from core.running_plugins import RunningPlugins
from core.served_interfaces import ServedInterfaces
from core.services import inbox, moved_chats, reminders
from core.services.budgets import budgets_of
from core.services.clock import SystemClock
from core.services.engines import Engines
from core.services.events import EventBus
from core.services.figures import Figures
from core.services.foreign import ForeignCalls
from core.services.hooks import HookRunner
from core.services.kept_events import KeptEvents
from core.services.mask import Masker
from core.services.observers import Observers
from core.services.people import People
from core.services.policy import read_rules
from core.services.retention import Retention
from core.services.schedule import StoredSchedule
from core.services.strategies import Strategies
from core.services.tokens import TokenEstimate
from core.settings import Settings, ensure_home
from core.storage import schema
from core.storage.opening import StoredDatabase, database_of
from core.told_events import tell_delivery, told_settings
from core.turn.close_session import ClosedSessions
from core.turn.core_actions import Controls
from core.turn.deliver import Deliverer
from core.turn.dispatch import Dispatcher
from core.turn.environment import Limits, TurnEnvironment
from core.turn.keep_people import keep_people
from core.turn.keep_schedule import ScheduleKeeper
from core.turn.outgoing import Outgoing
from core.turn.receive import Receiver
from core.turn.rehearse import Rehearsal
from core.turn.reroute_reminder import parts_instead
from core.turn.summarize import Summaries

log = structlog.get_logger("rekku.app")

DRAIN_S = 10.0
ENDING_SHARE = 0.8
"""Of that: for what runs to end. The rest is for handing over what did not, within the time all the same."""

KINDS = ("plugin", "engine", "interface")
EVENTS_DRAIN_S = 2.0
NOTICED_WITHIN_S = 5.0
NOTICED_WITHIN_APART_S = 0.5
"""How soon what another process has put into the tables is noticed, where processes share the work on purpose."""


class App:
    """A running Rekku: `async with App(settings, plugins=[…]) as app`.

    plugins, interfaces, engines: objects beside those that are found. serve: the names of the interfaces to start;
    None: all that are configured and need nobody at a terminal. duties: what this process does where several share
    one database server, by default all. database: in place of the settings' own, not started. reread: reads the
    settings again when a plugin is loaded anew; without it they stay as they are. watch: reload plugins whose files
    change. reached: called with the label of each point of the path that is passed. rehearsal: given where nothing
    outside may be touched. discovered: the kinds of components that are searched for; of the others there are those
    given alone. Starting raises RekkuError when the home or the database cannot be used, or an engine is named that
    does not exist; a component that fails is reported and the rest runs.
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
        reread: Callable[[], Settings] | None = None,
        watch: bool = False,
        reached: Callable[[str], None] = lambda label: None,
        rehearsal: Rehearsal | None = None,
        discovered: Collection[str] = KINDS,
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
        self._reached = reached
        self._rehearsal = rehearsal
        self._discovered = discovered
        self._stack = AsyncExitStack()
        self._jobs: set[asyncio.Task[None]] = set()
        self.kept_events = KeptEvents(self.database)
        self.events = EventBus(
            declared=lambda: self.registry.handlers,
            in_use=lambda kind, name: self.registry.is_in_use(kind, name),
            foreign=self.foreign,
            clock=self.clock,
            masker=self.masker,
            keep=self.kept_events.add if settings.events.keep else lambda record: None,
            rehearsal=rehearsal is not None,
        )
        self.host = ComponentHost(
            settings=settings,
            clock=self.clock,
            database=self.database,
            schedule=self.schedule,
            foreign=self.foreign,
            bus=self.events,
            rehearsal=rehearsal,
            registry=lambda: self.registry,
            env=self._started_env,
        )
        self.isolation = IsolationHost(
            clock=self.clock,
            config_for=lambda kind, name: self.plugins.settings.component(f"{kind}s", name),
            registry=lambda: self.registry,
            quarantine=lambda name, reason: self.plugins.quarantine_soon(name, reason),
        )
        self.registry = Registry(
            foreign=self.foreign,
            clock=self.clock,
            make_context=self.host.make_context,
            config_for=lambda kind, name: self.plugins.settings.component(f"{kind}s", name),
            held_back=lambda name: self.plugins.control.held_back(name),
            services=self.host.services,
            release_context=self.host.release_context,
            on_change=self.host.component_changed,
            learn_secret=self.masker.learn,
            isolate=self.isolation.isolate,
        )
        self.periodic = self.host.periodic
        self.plugins = RunningPlugins(
            settings,
            registry=self.registry,
            database=self.database,
            clock=self.clock,
            foreign=self.foreign,
            masker=self.masker,
            objects=self._objects["plugin"],
            reread=reread,
            env=lambda: self.env,
        )
        self._watch = watch
        self._served = ServedInterfaces(
            self.registry,
            self.foreign,
            serve=serve,
            handed=self._objects["interface"],
            gateway=Duty.GATEWAY in self.duties,
        )
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
        return self._served.running

    def interface(self, name: str) -> InterfaceBase:
        """Return a running interface; raises RekkuError that says why it does not run."""
        return self._served.get(name)

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

    async def load(self, only: Callable[[Found], bool] = lambda found: True) -> None:
        """Load every component, or `only` some, and start none: all that telling of them needs."""
        controls = Controls(stop_turn=lambda *args: self.dispatcher.stop_turn(*args))
        zone, actions = self.settings.timezone, self.plugins.actions()
        await self.registry.load("plugin", core_plugins(lambda: self.env, controls, zone, actions))
        for kind in KINDS:
            await self.registry.load(kind, filter(only, self._found(kind)))

    def _found(self, kind: str) -> list[Found]:
        if kind not in self._discovered:
            return given(kind, self._objects[kind])
        path = os.pathsep.join(map(str, self.settings.plugin_path))
        return discover(kind, home=self.settings.home, plugin_path=path, objects=self._objects[kind])

    def _started_env(self) -> TurnEnvironment:
        if not hasattr(self, "env"):
            raise RekkuError("This works once Rekku has started.")
        return self.env

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
            await self.database.transact(lambda conn: expire_leases(conn, gone), durable=False)
        self._stack.push_async_callback(self._cancel_jobs)
        self.events.post("config.loaded", told_settings(settings))
        await self.plugins.control.begin()
        self._stack.push_async_callback(self.isolation.close)
        await self.load()
        self.build()
        self._stack.push_async_callback(self.env.engines.stop)
        self.kept_events.start()
        self._stack.push_async_callback(self.kept_events.stop)
        await self.env.people.refresh(self.database)
        # Plugins may need what an interface brings and the other way round; actions are there before inputs come.
        await self.registry.start_plugins()
        self._stack.push_async_callback(self._stop_plugins)
        # Those who are to hear of the start have started by now; before they stop, what is left is told.
        self.events.start()
        self._stack.push_async_callback(self.events.stop, EVENTS_DRAIN_S)
        self._stack.push_async_callback(self._served.stop)
        await self._served.start(self.receive, self._chat_moved, self.env)
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
        self.plugins.start(self._noticed_s, watch=self._watch)
        self._stack.push_async_callback(self.plugins.stop)

    def build(self) -> None:
        """Make what turns work with, of what was loaded; nothing of it runs yet. A part of starting."""
        settings = self.settings
        people = People(settings.trainer_ids, settings.access, lambda: self._served.running)
        owner = self._ownership.owner
        noticed_s = self._noticed_s
        self.deliverer = Deliverer(
            owner=owner,
            database=self.database,
            clock=self.clock,
            foreign=self.foreign,
            masker=self.masker,
            interfaces=lambda: self._served.running,
            reached=self._reached,
            instead=lambda dead, reason: parts_instead(self.env, dead, reason),
            scan_every_s=noticed_s,
            tell=lambda name, part, more: tell_delivery(self.events, name, part, more),
        )
        prompt = settings.prompt
        self.env = TurnEnvironment(
            owner=owner,
            database=self.database,
            clock=self.clock,
            foreign=self.foreign,
            hooks=self.hooks,
            strategies=Strategies(lambda: self.registry.strategies, self.foreign),
            generation=lambda: self.registry.generation,
            engines=self.choose_engines(),
            rules=tuple(read_rules(settings.policy_rules)),
            people=people,
            masker=self.masker,
            outgoing=Outgoing(
                interfaces=lambda: self._served.running,
                hooks=self.hooks,
                foreign=self.foreign,
                masker=self.masker,
                slots=self.host.slots,
            ),
            tokens=TokenEstimate(),
            budget_tokens=Budget(
                history=prompt.history_tokens,
                summary=prompt.summary_tokens,
                context=prompt.context_tokens,
                context_per_plugin=prompt.per_plugin_context_chars,
            ),
            catalogue=CatalogueBudget(room=prompt.catalogue_bytes, whole=prompt.whole_actions),
            limits=Limits(
                corrector_retries=settings.corrector_retries,
                engine_deadline_s=settings.engine_deadline_s,
                max_steps=settings.max_steps,
            ),
            budgets=budgets_of(settings.budgets),
            show=self._served.show,
            wake_outbox=self.deliverer.wake,
            retention=Retention(settings.retention, settings.events),
            schedule=self.schedule,
            wake_schedule=lambda: self.schedule_keeper.wake(),
            summarize=Summaries(lambda: self.env, self._own).soon,
            observers=Observers(self.foreign, told=self._rehearsal is None),
            reached=self._reached,
            figures=self.figures,
            rehearsal=self._rehearsal,
            events=self.events,
            slots=self.host.slots,
            checks=self.host.checks,
            plugins=self.plugins.control.components,
            closed_sessions=ClosedSessions(self.database, self.events, self._own),
        )
        self.dispatcher = Dispatcher(self.env, self.deliverer.settled, scan_every_s=noticed_s)
        self.schedule_keeper = ScheduleKeeper(self.env, self.dispatcher.scan_soon, look_every_s=noticed_s)
        self._receiver = Receiver(self.env, self.dispatcher.wake, self.dispatcher.turned_away)

    @property
    def _noticed_s(self) -> float:
        return NOTICED_WITHIN_APART_S if self.duties != ALL_DUTIES else NOTICED_WITHIN_S

    async def _chat_moved(self, old: Address, new: Address) -> None:
        """Let everything that is stored of a chat go on under its new address."""
        rows = await self.database.transact(lambda conn: moved_chats.move(conn, old, new))
        log.info("a chat has moved", before=str(old), after=str(new))
        self.deliverer.wake(rows)
        self.dispatcher.scan_soon()

    async def _stop_plugins(self) -> None:
        await self.registry.stop_plugins()
        self.events.note_waiting()

    async def _stop_serving(self) -> None:
        """Stop intake, let what runs end, send what can be sent; the rest waits in the tables."""
        self._receiver.open = False
        deadline = self.clock.monotonic() + DRAIN_S
        await self.dispatcher.stop(DRAIN_S * ENDING_SHARE)
        await self.deliverer.stop(max(deadline - self.clock.monotonic(), 0.0))

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
        await self.host.release_all()
