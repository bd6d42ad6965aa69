"""What Rekku holds of a plugin's process beyond a call: what it subscribed to, began and contributed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from structlog.typing import FilteringBoundLogger

from core.component_context import ComponentContext
from core.contracts.actions import Permission
from core.contracts.errors import RekkuError
from core.contracts.events import Event, Subscription
from core.contracts.inputs import Address
from core.contracts.json import Json, JsonObject
from core.contracts.messages import Said
from core.contracts.messages import Subscription as Hearing
from core.contracts.processes import JobState
from core.contracts.services import Clock
from core.contracts.slots import Gauge, HealthCheck, Mention, MessageRenderer, SlotSpec, StatusSegment
from core.event_conditions import condition_from_data
from core.isolation.child_process import LivingChild
from core.services.background_jobs import StartedJob
from core.services.event_calls import answer_wanted

ENDING_S = 1.0


class Holdings:
    """Of one process, while it lives. Each is a function over there, which is called by its number."""

    def __init__(self, child: LivingChild, clock: Clock, log: FilteringBoundLogger) -> None:
        self._child = child
        self._clock = clock
        self._log = log
        self._context: ComponentContext | None = None
        self._subscriptions: dict[int, Subscription] = {}
        self._hearings: dict[int, Hearing] = {}
        self._jobs: dict[str, StartedJob] = {}

    def told(self, context: ComponentContext, name: str, args: list[Any]) -> None:
        """Do what the process wants to have kept, or ended; what cannot be is logged. Never raises."""
        self._context = context
        try:
            self._take(context, name, args)
        except (RekkuError, ValueError, TypeError, ArithmeticError) as error:
            said = error.explain() if isinstance(error, RekkuError) else str(error)
            self._log.error("what a plugin wants kept cannot be", wanted=name, error=said)

    def drop(self) -> None:
        """Let go of all: the process has ended. Its jobs have failed with it."""
        for subscription in self._subscriptions.values():
            subscription.cancel()
        for hearing in self._hearings.values():
            hearing.close()
        self._subscriptions.clear()
        self._hearings.clear()
        if self._context is not None:
            self._context.slots.withdraw("plugin", self._context.name)

    async def close(self) -> None:
        """Let go of all before the process ends, its jobs included."""
        self.drop()
        jobs = [job.task for job in self._jobs.values() if job.task is not None]
        for task in jobs:
            task.cancel()
        if jobs:
            await asyncio.wait(jobs, timeout=ENDING_S)

    def _take(self, context: ComponentContext, name: str, args: list[Any]) -> None:
        match name, args:
            case "subscribe", [int() as number, str() as method, [data, int() as condition], [*how]] if len(how) == 4:
                self._subscribe(context, number, method, data, condition, how)
            case "unsubscribe", [int() as number] if number in self._subscriptions:
                self._subscriptions.pop(number).cancel()
            case "hear", [int() as number, (None | Address()) as address, (int() | float()) as timeout_s]:
                self._hear(context, number, address, timeout_s)
            case "hear_no_more", [int() as number] if number in self._hearings:
                self._hearings.pop(number).close()
            case "job", [str() as id_, int() as number, str() as job, (int() | float()) as timeout_s]:
                self._begin(context, id_, number, job, timeout_s)
            case "job_cancel", [str() as id_] if id_ in self._jobs:
                self._jobs[id_].cancel()
            case "left_out", [str() as what] if context.left_out is not None:
                context.left_out(what)
            case "contribute", [str() as slot, dict() as form, int() as number]:
                context.contribute(slot, self._slot(slot, form, number))

    def _subscribe(
        self, context: ComponentContext, number: int, method: str, data: Json, condition: int, how: list[Any]
    ) -> None:
        if number in self._subscriptions:
            raise ValueError(f"there is a subscription {number} already")

        async def call(event: Event) -> Any:
            return await self._run(number, event, answer_wanted.get())

        call.__name__ = method
        pattern, stage, priority, timeout_s = how
        when = partial(self._run, condition) if data is None else condition_from_data(data)
        self._subscriptions[number] = context.events.subscribe(
            pattern, call, when=when, stage=stage, priority=priority, timeout_s=timeout_s
        )

    def _hear(self, context: ComponentContext, number: int, address: Address | None, timeout_s: float) -> None:
        if number in self._hearings:
            raise ValueError(f"what is said is heard as {number} already")

        async def hear(said: Said) -> None:
            hearing = self._hearings.get(number)
            await self._run(number, said, 0 if hearing is None else hearing.dropped)

        self._hearings[number] = context.messages.subscribe(hear, address=address, timeout_s=timeout_s)

    def _begin(self, context: ComponentContext, id_: str, number: int, name: str, timeout_s: float) -> None:
        try:
            if id_ in self._jobs:
                raise ValueError(f"there is a job {id_} already")
            job = context.jobs.start(partial(self._run, number), name, timeout_s=timeout_s, id_=id_)
        except (RekkuError, ValueError) as error:
            self._child.peer.tell("job_ended", id_, JobState.FAILED, None, str(error))
            raise
        self._jobs[id_] = job
        if job.task is None:
            self._job_ended(job)
        else:
            job.task.add_done_callback(lambda task: self._job_ended(job))

    def _job_ended(self, job: StartedJob) -> None:
        del self._jobs[job.id]
        self._child.peer.tell("job_ended", job.id, job.state, job.result, job.error)

    def _slot(self, slot: str, form: JsonObject, number: int) -> SlotSpec:
        if slot == "status":
            return StatusSegment(text=partial(self._run, number))
        run = partial(self._run, number)
        name, description = str(form.get("name")), str(form.get("description"))
        if slot == "mentions":
            permission = Permission(str(form.get("permission")))
            return Mention(name=name, description=description, resolve=run, permission=permission)
        if slot == "health":
            return HealthCheck(name=name, check=run, critical=form.get("critical") is True)
        if slot == "renderers":
            interfaces = form.get("interfaces")
            only = tuple(map(str, interfaces)) if isinstance(interfaces, list) else ()
            return MessageRenderer(name=name, render=run, interfaces=only)
        return Gauge(name=name, description=description, read=run)

    async def _run(self, number: int, *args: Any) -> Any:
        return await self._child.call("run", number, list(args), self._clock.now_ms())
