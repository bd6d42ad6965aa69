"""Lanes: the turns of one lane run one after another, lanes run side by side, each turn owned by a task."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import structlog

from core.contracts.deliveries import Activity, ActivityKind
from core.contracts.errors import LeaseLost, StorageError, StorageUnavailable
from core.contracts.inputs import Input, InputKind, Principal, Role
from core.contracts.outcomes import OutcomeStatus
from core.services import inbox
from core.turn.commit import END_STATES, abort
from core.turn.decide import not_done
from core.turn.end_call import call_outcome
from core.turn.environment import TurnEnvironment
from core.turn.gather import CatalogueTextCache
from core.turn.open_turn import claim_and_open
from core.turn.pipeline import run_turn
from core.turn.state import Turn
from core.turn.tell_events import tell_completed, tell_started

log = structlog.get_logger("rekku.turns")

MOST_TURNS = 64
RETRY_AFTER_S = 1.0
RENEW_EVERY_S = inbox.LEASE_MS / 3000
INTERNAL_ERROR = "Something went wrong inside me while I worked on this. The log says more ({error})."
STOPPED = "Stopped."


class Dispatcher:
    """Runs what is in the inbox. `settled(row_ids)` waits until these outbox rows were sent or have failed once."""

    def __init__(
        self,
        env: TurnEnvironment,
        settled: Callable[[list[tuple[int, str]]], Awaitable[None]],
        *,
        scan_every_s: float,
    ) -> None:
        """scan_every_s: how soon what another process puts into the inbox is noticed."""
        self._env = env
        self._scan_every_s = scan_every_s
        self._settled = settled
        self._cache = CatalogueTextCache()
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._passing: dict[int, asyncio.Task[None]] = {}
        self._running: dict[str, tuple[Turn, asyncio.Task[None]]] = {}
        self._held: dict[int, Turn] = {}
        self._stopping: set[int] = set()
        self._afterwards: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MOST_TURNS)
        self._scan_now = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []
        self._open = False

    async def start(self) -> None:
        """Begin with what an earlier run left, oldest first."""
        self._open = True
        await self._scan()
        self._keepers = [
            asyncio.create_task(self._keep_scanning(), name="scan of the inbox"),
            asyncio.create_task(self._keep_leases(), name="renewal of leases"),
        ]

    async def stop(self, drain_s: float) -> None:
        """Take up nothing new, let what runs end for `drain_s` seconds, and leave the rest to the next start."""
        self._open = False
        loop = asyncio.get_running_loop()
        until = loop.time() + drain_s
        for keeper in self._keepers[:1]:
            keeper.cancel()
        running = {*self._lanes.values(), *self._passing.values()}
        if running:
            _, late = await asyncio.wait(running, timeout=drain_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=5.0)
        if self._afterwards:
            await asyncio.wait(self._afterwards, timeout=max(until - loop.time(), 0.0))
        leftovers = [*self._keepers, *self._afterwards]
        for task in leftovers:
            task.cancel()
        await asyncio.gather(*leftovers, return_exceptions=True)

    def wake(self, lane: str, input_id: int, passes_lanes: bool) -> None:
        """Take up a new input."""
        if not self._open:
            return
        if passes_lanes:
            self._pass_by(input_id)
        elif lane in self._lanes:
            self._again.add(lane)
        else:
            task = asyncio.get_running_loop().create_task(self._run_lane(lane), name=f"lane {lane}")
            self._lanes[lane] = task

    def turned_away(self, input: Input, input_id: int, rows: list[tuple[int, str]]) -> None:
        """Show the end of an input that gets no turn, once the deliveries about it are out."""
        ended = Activity(kind=ActivityKind.ENDED, address=input.address, input_id=input_id, result="error")

        async def show() -> None:
            await self._settled(rows)
            await self._env.show(ended)

        self._then(show())

    def scan_soon(self) -> None:
        """Look at the inbox now: something was put there behind our back."""
        self._scan_now.set()

    def stop_turn(self, lane: str, principal: Principal, role: Role) -> bool:
        """Abort the turn that runs in a lane; False when none does that this principal may stop."""
        running = self._running.get(lane)
        if running is None:
            return False
        turn, task = running
        if role is not Role.TRAINER and turn.input.principal != principal:
            return False
        if turn.lease.input_id in self._stopping:
            return False  # a second one would cut off the end of the first
        self._stopping.add(turn.lease.input_id)
        task.cancel()
        return True

    @property
    def busy(self) -> int:
        """How many lanes and inputs that pass them by are being worked on now."""
        return len(self._lanes) + len(self._passing)

    @property
    def running_turns(self) -> int:
        """How many turns run now."""
        return len(self._held)

    def _pass_by(self, input_id: int) -> None:
        if input_id not in self._passing:
            task = asyncio.get_running_loop().create_task(self._run_passing(input_id), name=f"input {input_id}")
            self._passing[input_id] = task
            task.add_done_callback(lambda _: self._passing.pop(input_id, None))

    async def _run_passing(self, input_id: int) -> None:
        env = self._env
        try:
            turn = await env.database.transact(
                lambda conn: claim_and_open(conn, env, input_id=input_id), durable=False
            )
            if turn is not None:
                env.reached("input claimed")
                await self._take(turn)
        except StorageError as error:
            log.warning("the input waits for the database", input=input_id, error=str(error))

    async def _run_lane(self, lane: str) -> None:
        try:
            while self._open:
                self._again.discard(lane)
                async with self._slots:
                    if not self._open:
                        return
                    if not await self._take_head(lane):
                        if lane in self._again:
                            continue
                        return
        finally:
            self._lanes.pop(lane, None)

    async def _take_head(self, lane: str) -> bool:
        """Run the turn at the head of a lane; False when there is none."""
        env = self._env
        try:
            # A claim that a power cut undoes was never made: it need not be durable.
            turn = await env.database.transact(lambda conn: claim_and_open(conn, env, lane=lane), durable=False)
        except StorageError as error:
            log.warning("the lane waits for the database", lane=lane, error=str(error))
            # Whether it was claimed is not known, and nobody works on it: that must not wait for the lease's end.
            await self._until_stored(lambda conn: inbox.release_lane(conn, lane, env.owner))
            return True
        if turn is None:
            return False
        env.reached("input claimed")
        body = asyncio.get_running_loop().create_task(self._take(turn), name=f"turn {turn.id}")
        self._running[lane] = (turn, body)
        try:
            await asyncio.shield(body)
        except asyncio.CancelledError:
            if not body.done():
                body.cancel()
                await asyncio.wait({body}, timeout=5.0)
                raise
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
        finally:
            self._running.pop(lane, None)
        return True

    async def _take(self, turn: Turn) -> None:
        env = self._env
        lease = turn.lease
        self._held[lease.input_id] = turn
        result = "error"
        tell_started(env, turn)
        with structlog.contextvars.bound_contextvars(turn=turn.id, lane=str(turn.input.address)):
            # A typing sign may take its platform a while: the turn does not wait for it, only its own end does.
            started = self._then(env.show(self._activity(turn, ActivityKind.STARTED)))
            try:
                after = await run_turn(turn, env, self._cache)
                result = END_STATES.get(after, "error")
                if turn.failed:
                    result = "error"
            except asyncio.CancelledError:
                if lease.input_id not in self._stopping:
                    with contextlib.suppress(StorageError):  # the lease runs out by itself
                        await asyncio.shield(env.database.transact(lambda conn: inbox.release(conn, lease)))
                    raise
                result = await asyncio.shield(self._abort(turn))
            except LeaseLost as error:
                log.warning("the turn goes on elsewhere", error=str(error))
                return
            except StorageUnavailable as error:
                log.warning("the turn waits for the database", error=str(error))
                await self._until_stored(lambda conn: inbox.release(conn, lease))
                self.scan_soon()
                return
            except Exception as error:
                # A mistake of our own: it must not hold up the lane for ever, and the user is told.
                log.exception("the turn failed inside", exc_info=error)
                await self._fail(turn, type(error).__name__)
            finally:
                self._held.pop(lease.input_id, None)
                self._stopping.discard(lease.input_id)
        env.figures.turn_ended(result)
        tell_completed(env, turn, result)
        self._then(self._finish(turn, result, started))

    async def _abort(self, turn: Turn) -> str:
        try:
            await abort(turn, self._env, "aborted", STOPPED)
        except LeaseLost:
            return "complete"  # its last commit was under way already
        return "aborted"

    async def _until_stored(self, fn: Callable[[Any], None]) -> None:
        """Write something as soon as the database is back; what is left to the end of a lease waits longer."""
        while self._open:
            await self._env.clock.sleep(RETRY_AFTER_S)
            with contextlib.suppress(StorageError):
                await self._env.database.transact(fn)
                return

    async def _fail(self, turn: Turn, error: str) -> None:
        try:
            await abort(turn, self._env, "error", INTERNAL_ERROR.format(error=error))
        except StorageError as away:
            log.warning("the failed turn waits for the database", error=str(away))

    async def _finish(self, turn: Turn, result: str, started: asyncio.Future[None]) -> None:
        """Show the end once the deliveries are out; the lane does not wait for that."""
        if turn.input.kind is InputKind.COMMAND:
            self.scan_soon()  # a command may have put something into the inbox: an approval does
        if turn.history_is_long:
            self._env.summarize(turn.context())
        await self._settled(turn.sent)
        await asyncio.wait({started})
        waiting = tuple(
            action.outcome.approval_id
            for step in turn.steps[-1:]
            for action in step.actions
            if action.outcome.status is OutcomeStatus.AWAITING_APPROVAL
        )
        outcome = await call_outcome(turn, self._env) if turn.input.kind is InputKind.CALL else None
        left = not_done(turn.steps)
        ended = self._activity(
            turn,
            ActivityKind.ENDED,
            result=result,
            approval_ids=waiting,
            not_done=left,
            undelivered=turn.undelivered,
            outcome=outcome,
        )
        await self._env.show(ended)
        for input_id in turn.lease.joined:  # each of them may be waited for
            await self._env.show(replace(ended, input_id=input_id))

    def _activity(self, turn: Turn, kind: ActivityKind, **more: object) -> Activity:
        return Activity(kind=kind, address=turn.input.address, input_id=turn.lease.input_id, **more)  # type: ignore[arg-type]

    def _then(self, work: Awaitable[None]) -> asyncio.Future[None]:
        task = asyncio.ensure_future(work)
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)
        return task

    async def _scan(self) -> float:
        """Take up all that can be claimed; return in how many seconds to look again."""
        env = self._env
        now_ms = env.clock.now_ms()

        def look(conn: object) -> tuple[list[str], list[int], int | None]:
            return (
                inbox.open_lanes(conn, now_ms),
                inbox.open_passing(conn, now_ms),
                inbox.next_instant(conn, now_ms),
            )

        lanes, passing, next_ms = await env.database.read(look)
        for lane in lanes:
            self.wake(lane, 0, False)
        for input_id in passing:
            self._pass_by(input_id)
        if next_ms is None:
            return self._scan_every_s
        return min(max((next_ms - now_ms) / 1000, 0.0), self._scan_every_s)

    async def _keep_scanning(self) -> None:
        wait_s = self._scan_every_s
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    await self._scan_now.wait()
            except TimeoutError:
                pass
            self._scan_now.clear()
            try:
                wait_s = await self._scan()
            except StorageError as error:
                log.warning("the inbox cannot be read", error=str(error))
                wait_s = RETRY_AFTER_S

    async def _keep_leases(self) -> None:
        env = self._env
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            for turn in list(self._held.values()):
                try:
                    await env.database.transact(
                        lambda conn, held=turn: inbox.check(conn, held.lease, env.clock.now_ms()),  # type: ignore[misc]
                        durable=False,
                    )
                except StorageError as error:
                    if self._held.get(turn.lease.input_id) is not turn:
                        continue  # it has ended meanwhile, and its input with it
                    log.warning("a lease could not be renewed", turn=turn.id, error=str(error))
