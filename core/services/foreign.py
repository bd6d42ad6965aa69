"""Calls of foreign code (plugins, interfaces, engines): a deadline, isolation, and failures as values."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import structlog

from core.code_places import place_of, place_raised
from core.contracts.errors import RekkuError
from core.contracts.hooks import TurnContext
from core.contracts.json import storable

T = TypeVar("T")
log = structlog.get_logger("rekku.foreign")

CANCEL_GRACE_S = 1.0
HELD_S = 0.1
LONGEST_LINE = 1000
"""Characters of what an unforeseen error says that are told."""


@dataclass(frozen=True, slots=True)
class Returned(Generic[T]):
    """The call came back with a value."""

    value: T


@dataclass(frozen=True, slots=True)
class Raised:
    """The call raised; `timed_out` when its deadline passed. `sentence` is fit for the model and the user."""

    error: BaseException
    timed_out: bool = False

    @property
    def sentence(self) -> str:
        """What went wrong, in one line."""
        try:
            said = self.error.explain() if isinstance(self.error, RekkuError) else str(self.error)
            said = str.__str__(said)
        except BaseException:  # noqa: BLE001 - how an error of foreign code says itself is foreign code: it may exit
            said = ""
        if isinstance(self.error, RekkuError) and said:
            return storable(said)
        name, first_line = type(self.error).__name__, (said[:LONGEST_LINE].strip().splitlines() or [""])[0]
        return storable(f"{name}: {first_line}" if first_line else name)

    @property
    def where(self) -> str:
        """The innermost frame of the code that was called, as "dice.py, line 3", or "" where it is not known."""
        return place_raised(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behalf:
    """On whose behalf a call is made. turn: "turn-12", or what else such calls have in common; "": nothing."""

    principal: str
    turn: str = ""

    @classmethod
    def of(cls, turn: TurnContext) -> Behalf:
        """Return what a call is made for in a turn, or for somebody outside of any."""
        return cls(principal=str(turn.principal), turn=f"turn-{turn.turn_id}" if turn.turn_id else "")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that runs: the plugin whose code it is, "" for anything else, and what it is called.

    behalf: for whom it is made; None where nobody has caused it, as with a periodic job.
    """

    owner: str
    label: str
    behalf: Behalf | None = None


class ForeignCalls:
    """Makes calls of foreign code. It owns the calls that did not end in time until they do.

    on_end: told of the end of each call of a plugin's. on_held: told of a transaction that a
    plugin's function held for long: the plugin, the seconds, and where the function is.
    """

    def __init__(self) -> None:
        self.on_end: Callable[[Call, Returned[Any] | Raised], None] = lambda call, ended: None
        self.on_held: Callable[[str, float, str], None] = lambda owner, seconds, where: None
        self._overdue: set[asyncio.Task[Any]] = set()
        self._running: dict[asyncio.Task[Any], Call] = {}
        self._ended: WeakSet[asyncio.Task[Any]] = WeakSet()

    async def call(
        self,
        label: str,
        make: Callable[[], Awaitable[T]],
        timeout_s: float,
        owner: str = "",
        *,
        behalf: Behalf | None = None,
        counted: bool = True,
    ) -> Returned[T] | Raised:
        """Run `make()`, in its own task, for `timeout_s` seconds at most. owner, behalf: see `Call`.
        counted: whether `on_end` is told.

        A call that swallows its cancellation is left behind after a grace of a second, so that it cannot hold its
        caller. Cancellation of the caller cancels the call and propagates.
        """
        task = asyncio.ensure_future(_run(make))
        call = self._running[task] = Call(owner, label, behalf)
        task.add_done_callback(self._forget)
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_s)
        except asyncio.CancelledError:
            await self._abandon(label, task)
            raise
        ended = await self._end_of(label, task, timeout_s, late=not done)
        if owner and counted:
            self.on_end(call, ended)
        return ended

    async def end(self, owner: str, patience_s: float) -> None:
        """Let the calls of a plugin that run come to their end, and cancel those that have not after `patience_s`."""
        mine = {task for task, call in self._running.items() if call.owner == owner}
        mine.discard(asyncio.current_task())
        if not mine:
            return
        _, late = await asyncio.wait(mine, timeout=patience_s)
        self._ended.update(late)
        for task in late:
            await self._abandon(self._running[task].label if task in self._running else owner, task)

    def timed(self, owner: str, fn: Callable[[Any], T]) -> Callable[[Any], T]:
        """Return a plugin's transaction function so that `on_held` is told when it takes long."""
        loop = asyncio.get_running_loop()

        @functools.wraps(fn)
        def run(conn: Any) -> T:
            began_s = time.monotonic()
            try:
                return fn(conn)
            finally:
                seconds = time.monotonic() - began_s
                if seconds >= HELD_S:
                    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody counts any more
                        loop.call_soon_threadsafe(self.on_held, owner, seconds, place_of(fn))

        return run

    def now_in(self, loop: asyncio.AbstractEventLoop) -> Call | None:
        """Return the call whose code the loop runs at this moment, if it is one; may be asked by another thread."""
        task = asyncio.current_task(loop)
        return None if task is None else self._running.get(task)

    async def _end_of(
        self, label: str, task: asyncio.Task[T], timeout_s: float, *, late: bool
    ) -> Returned[T] | Raised:
        if task in self._ended:
            return Raised(ConnectionAbortedError(f"{label} was cancelled, since its plugin was stopped"))
        if late:
            await self._abandon(label, task)
            return Raised(TimeoutError(f"{label} took longer than {timeout_s:g} s"), timed_out=True)
        if task.cancelled():
            return Raised(RuntimeError(f"{label} cancelled itself"))
        error = task.exception()
        return Raised(error) if error is not None else Returned(task.result())

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.pop(task, None)

    async def _abandon(self, label: str, task: asyncio.Task[Any]) -> None:
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_GRACE_S)
        if not task.done():
            log.error("does not end when it is cancelled", call=label)
            self._overdue.add(task)
            task.add_done_callback(self._overdue.discard)
        elif not task.cancelled():
            task.exception()


async def contained(work: Awaitable[T]) -> T:
    """Await foreign code; what would end the process, and the event loop with it, is raised as RuntimeError.

    Ctrl-C does not come this way: the commands that serve take the signal themselves.
    """
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        how = f"exit {error.code}" if isinstance(error, SystemExit) else "KeyboardInterrupt"
        raise RuntimeError(f"it tried to end the process ({how})") from error


async def _run(make: Callable[[], Awaitable[T]]) -> T:
    async def made() -> T:
        return await make()  # what is not written with `async` raises here already

    return await contained(made())
