"""An action while it runs: what its handler is given, and what its errors say about how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

import structlog

from core.contracts.actions import ActionEnvelope, ActionSpec, Effect, Untrusted, WriteFn
from core.contracts.deliveries import Activity, ActivityKind, Delivery
from core.contracts.errors import ActionFailed, StorageUnavailable
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Address, Origin, Principal, Role
from core.contracts.json import Json, JsonObject
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.prompts import Line
from core.services import ledger
from core.services.foreign import Behalf, Raised
from core.turn.environment import Entry, TurnEnvironment
from core.turn.state import PendingAction, Turn

log = structlog.get_logger("rekku.actions")

MOST_CAUSES = 10
LONG_WORK_S = 10.0
LONG_WORK_AGAIN_S = 20.0
STOPPED = "It was stopped while it ran."
NO_WRITE = "An action with effect read cannot write or send."


CallAction: TypeAlias = "Callable[[RunningAction, str, str, str, JsonObject], Awaitable[Json]]"


class RunningAction:
    """The `ActionContext` of one action that is running.

    depth: 0, or how many actions have called it through one another. call: runs another plugin's action inside of
    this one. called: what it called so and is written with it. said: what these said in the current chat.
    brought_foreign: it has seen text from outside. unknown: how something ended that it called, and nobody saw. over:
    its handler has ended.
    """

    def __init__(
        self,
        turn: Turn,
        env: TurnEnvironment,
        position: int,
        spec: ActionSpec,
        tainted: bool,
        *,
        call: CallAction,
        depth: int = 0,
    ) -> None:
        self._turn = turn
        self._env = env
        self._call: CallAction | None = call
        self.spec = spec
        self.depth = depth
        self.called: list[PendingAction] = []
        self.said: list[Line] = []
        self.brought_foreign = False
        self.unknown = ""
        self.over = False
        self._tells_itself = False
        self._progress: set[asyncio.Task[None]] = set()
        self.action_id = f"{turn.id}.{turn.number}.{position}"
        self.tainted = tainted
        self.writes: list[WriteFn] = []
        self.undo: ActionEnvelope | None = None
        self.deliveries: list[Delivery] = []

    @property
    def principal(self) -> Principal:
        return self._turn.input.principal

    @property
    def role(self) -> Role:
        return self._turn.role

    @property
    def address(self) -> Address:
        return self._turn.input.address

    @property
    def origin(self) -> Origin:
        return self._turn.input.origin

    @property
    def turn_id(self) -> int:
        return self._turn.id

    def turn_context(self) -> TurnContext:
        """Return what hooks see of the turn now."""
        return self._turn.context(tainted=self.tainted)

    @property
    def offered(self) -> frozenset[str] | None:
        """The types that the model of its step was told of; None where no model was asked."""
        return self._turn.offered

    def see_foreign(self) -> None:
        """Note that text from outside has reached the handler: its outcome holds it from now on."""
        self.tainted = self.brought_foreign = True

    async def call_action(self, caller: str, plugin: str, action: str, payload: JsonObject) -> Json:
        """Run an action of another plugin inside of this one; `caller`: the plugin whose code asks for it."""
        if self._call is None:
            raise ActionFailed(f"{action} cannot be called any more: the action that calls it has ended.")
        return await self._call(self, caller, plugin, action, payload)

    def seen_as(self, outcome: Outcome) -> Outcome:
        """Return how it ended: that something it called may have touched the world is told whatever it made of it."""
        if not self.unknown:
            return outcome
        also = f" {outcome.reason}" if outcome.status is OutcomeStatus.UNKNOWN else ""
        return replace(outcome, status=OutcomeStatus.UNKNOWN, reason=f"{self.unknown}{also}")

    def end(self) -> None:
        """Let go of what only an action that runs needs: a context that outlives it may hold this one."""
        self.over, self._call = True, None

    def write(self, fn: WriteFn) -> None:
        self._may_write()
        self.writes.append(self._env.foreign.timed(self.spec.plugin, fn))

    def send(self, text: str, to: Address | None = None) -> None:
        self.deliver(Delivery(address=to or self.address, text=text, tainted=self.tainted))

    def deliver(self, delivery: Delivery) -> None:
        self._may_write()
        self.deliveries.append(delivery)

    def compensate(self, payload: JsonObject) -> None:
        self._may_write()
        if not self.spec.compensation:
            raise ActionFailed(f'{self.spec.type} has no compensation: declare it with compensation="…".')
        self.undo = ActionEnvelope(type=self.spec.compensation, payload=payload)

    def progress(self, text: str) -> None:
        self._tells_itself = True
        self._show(text)

    async def tell_of_long_work(self) -> None:
        """Show now and then that the action still runs, until cancelled, unless it shows its progress itself."""
        clock = self._env.clock
        began_s = clock.monotonic()
        wait_s = LONG_WORK_S
        while True:
            await clock.sleep(wait_s)
            if self._tells_itself:
                return
            self._show(f"Still working on {self._doing()}, for {clock.monotonic() - began_s:.0f} s now.")
            wait_s = LONG_WORK_AGAIN_S

    def _doing(self) -> str:
        verb = self.spec.display.verb
        return f"{self.spec.type} ({verb})" if verb else self.spec.type

    def _show(self, text: str) -> None:
        activity = Activity(
            kind=ActivityKind.PROGRESS, address=self.address, input_id=self._turn.lease.input_id, text=text
        )
        shown = asyncio.get_running_loop().create_task(_shown(self._env, activity))
        self._progress.add(shown)
        shown.add_done_callback(self._progress.discard)

    def _may_write(self) -> None:
        if self.spec.effect is Effect.READ:
            raise ActionFailed(NO_WRITE, cure=f'Declare {self.spec.type} with effect="local".')


async def _shown(env: TurnEnvironment, activity: Activity) -> None:
    await env.show(activity)


async def uncancelled(call: Awaitable[Any]) -> Any:
    """Await a handler; when it was cancelled from its inside, that is a lost connection and no wish of ours."""
    try:
        return await call
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ConnectionAbortedError("it was cancelled from its inside") from error


def lost_connection(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a connection or an answer that was lost."""
    for _ in range(MOST_CAUSES):
        if error is None or isinstance(error, ActionFailed):
            return False
        if isinstance(error, ConnectionError | TimeoutError):
            return True
        error = error.__cause__ or error.__context__
    return False


def unknown(reason: str) -> Outcome:
    """Return the outcome of what nobody saw the end of."""
    return Outcome(status=OutcomeStatus.UNKNOWN, reason=ledger.UNSEEN.format(how=reason))


async def run_handler(
    env: TurnEnvironment, entry: Entry, envelope: ActionEnvelope, running: RunningAction
) -> Outcome:
    """Call a handler, for as long as it may take; its result or failure as an outcome.

    Raises StorageUnavailable where an action of the core's own needs the database, which is away: nothing was done,
    and the turn waits and begins it again.
    """
    spec = entry.spec
    long_work = asyncio.create_task(running.tell_of_long_work(), name=f"progress of {spec.type}")
    try:
        called = await env.foreign.call(
            f"action {spec.type}",
            lambda: uncancelled(entry.run(running, dict(envelope.payload))),
            spec.timeout_s,
            spec.plugin,
            behalf=Behalf.of(running.turn_context()),
        )
    finally:
        running.end()
        long_work.cancel()
    if isinstance(called, Raised) and isinstance(called.error, StorageUnavailable) and _waits(spec):
        raise called.error
    outcome = running.seen_as(_outcome_of(env, spec, called))
    return replace(outcome, tainted=True) if running.brought_foreign else outcome


def _waits(spec: ActionSpec) -> bool:
    """Whether an action waits for a database that is away: the core's statements are short, others' may not be."""
    return spec.effect is not Effect.EXTERNAL and spec.plugin.partition("_")[0] == "core"


def _outcome_of(env: TurnEnvironment, spec: ActionSpec, called: Any) -> Outcome:
    if not isinstance(called, Raised):
        output, tainted = called.value, spec.reads_outside
        if isinstance(output, Untrusted):
            output, tainted = output.text, True
        return Outcome(
            status=OutcomeStatus.DONE,
            output=env.masker.value(output) if spec.returns_output else None,
            tainted=tainted and output is not None,
        )
    sentence = env.masker.text(called.sentence)
    # A failure's sentence is made by whoever failed, so it is as foreign as the output would have been.
    unseen = called.timed_out or lost_connection(called.error)
    if spec.effect is Effect.EXTERNAL and unseen:
        return replace(unknown(f"Its end was not seen ({sentence})."), tainted=spec.reads_outside)
    if not isinstance(called.error, ActionFailed):
        log.warning(
            "action failed",
            action=spec.type,
            plugin=spec.plugin,
            error=sentence,
            where=called.where,
            raised=called.error,
        )
    return Outcome(status=OutcomeStatus.FAILED, reason=sentence, tainted=spec.reads_outside)
