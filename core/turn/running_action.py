"""An action while it runs: what its handler is given, and what its errors say about how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from core.contracts.actions import ActionEnvelope, ActionSpec, Effect, WriteFn
from core.contracts.deliveries import Activity, ActivityKind, Delivery
from core.contracts.errors import ActionFailed
from core.contracts.inputs import Address, Origin, Principal, Role
from core.contracts.json import JsonObject
from core.turn.environment import TurnEnvironment
from core.turn.state import Turn

MOST_CAUSES = 10
LONG_WORK_S = 10.0
LONG_WORK_AGAIN_S = 20.0
NO_WRITE = "An action with effect read cannot write or send."


class RunningAction:
    """The `ActionContext` of one action that is running."""

    def __init__(self, turn: Turn, env: TurnEnvironment, position: int, spec: ActionSpec, tainted: bool) -> None:
        self._turn = turn
        self._env = env
        self._spec = spec
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

    def write(self, fn: WriteFn) -> None:
        self._may_write()
        self.writes.append(self._env.foreign.timed(self._spec.plugin, fn))

    def send(self, text: str, to: Address | None = None) -> None:
        self.deliver(Delivery(address=to or self.address, text=text, tainted=self.tainted))

    def deliver(self, delivery: Delivery) -> None:
        self._may_write()
        self.deliveries.append(delivery)

    def compensate(self, payload: JsonObject) -> None:
        self._may_write()
        if not self._spec.compensation:
            raise ActionFailed(f'{self._spec.type} has no compensation: declare it with compensation="…".')
        self.undo = ActionEnvelope(type=self._spec.compensation, payload=payload)

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
            self._show(f"Still working on {self._spec.type}, for {clock.monotonic() - began_s:.0f} s now.")
            wait_s = LONG_WORK_AGAIN_S

    def _show(self, text: str) -> None:
        activity = Activity(
            kind=ActivityKind.PROGRESS, address=self.address, input_id=self._turn.lease.input_id, text=text
        )
        shown = asyncio.get_running_loop().create_task(_shown(self._env, activity))
        self._progress.add(shown)
        shown.add_done_callback(self._progress.discard)

    def _may_write(self) -> None:
        if self._spec.effect is Effect.READ:
            raise ActionFailed(NO_WRITE, cure=f'Declare {self._spec.type} with effect="local".')


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
