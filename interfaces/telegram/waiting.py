"""A reaction on each message that waits for its turn, so that its sender sees that it was heard. All best effort."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from aiogram.methods import SetMessageReaction
from aiogram.types import ReactionTypeEmoji
from structlog.typing import FilteringBoundLogger

from core.contracts.deliveries import Activity, ActivityKind
from core.contracts.errors import StorageError
from core.contracts.inputs import Accepted, Input, InputKind
from core.contracts.services import Clock, KeyValueStore
from interfaces.telegram.kept_of_person import REACTIONS
from interfaces.telegram.owned_tasks import OwnedTasks
from interfaces.telegram.signs import Signs

HEARD = "👀"
"""One of those that bots may set everywhere (https://core.telegram.org/bots/api#reactiontypeemoji)."""

FIRST_SIGN_S = 1.0
"""A message that has its turn by then needs no sign."""

MOST_WAITING = 200
MOST_TAKEN_UP = 2000


@dataclass(slots=True, kw_only=True)
class _Message:
    chat_id: int
    message_id: int
    shown: bool = False


class Waiting:
    """Reacts to messages that wait, and takes it back when their turn begins or has ended, also after a restart."""

    def __init__(
        self, signs: Signs, tasks: OwnedTasks, kv: KeyValueStore, clock: Clock, log: FilteringBoundLogger
    ) -> None:
        self._signs = signs
        self._tasks = tasks
        self._kv = kv
        self._clock = clock
        self._log = log
        self._waiting: dict[int, _Message] = {}
        self._taken_up: OrderedDict[int, None] = OrderedDict()

    async def load(self) -> None:
        """Take up which messages an earlier run has reacted to; raises StorageError."""
        stored = await self._kv.get(REACTIONS, {})
        for input_id, (chat_id, message_id) in stored.items():
            self._waiting[int(input_id)] = _Message(chat_id=chat_id, message_id=message_id, shown=True)

    def accepted(self, input: Input, accepted: Accepted) -> None:
        """A message was taken in; its turn may have begun already. Returns at once."""
        message_id = input.data.get("message_id")
        if (
            input.kind is not InputKind.MESSAGE
            or not input.addressed
            or accepted.duplicate
            or "edit_of" in input.data
        ):
            return
        known = accepted.input_id in self._waiting or accepted.input_id in self._taken_up
        if known or not isinstance(message_id, int) or len(self._waiting) >= MOST_WAITING:
            return
        message = _Message(chat_id=int(input.address.chat_id), message_id=message_id)
        self._waiting[accepted.input_id] = message
        self._tasks.spawn(self._react(accepted.input_id, message), "reaction")

    def show(self, activity: Activity) -> None:
        """Take note of a turn that begins or has ended; returns at once."""
        if activity.kind is ActivityKind.PROGRESS:
            return
        self._taken_up[activity.input_id] = None
        if len(self._taken_up) > MOST_TAKEN_UP:
            self._taken_up.popitem(last=False)
        message = self._waiting.pop(activity.input_id, None)
        if message is not None and message.shown:
            self._tasks.spawn(self._take_back(message), "end of a reaction")

    async def _react(self, input_id: int, message: _Message) -> None:
        await self._clock.sleep(FIRST_SIGN_S)
        if input_id not in self._waiting:
            return
        message.shown = True
        await self._keep()  # before it is shown: after a crash it is rather taken back once too often
        if input_id in self._waiting:
            await self._set(message, [ReactionTypeEmoji(emoji=HEARD)])

    async def _take_back(self, message: _Message) -> None:
        await self._set(message, [])
        await self._keep()

    async def _set(self, message: _Message, reaction: list[ReactionTypeEmoji]) -> None:
        chat_id = await self._signs.now_at(message.chat_id)
        await self._signs.give(
            chat_id, SetMessageReaction(chat_id=chat_id, message_id=message.message_id, reaction=list(reaction))
        )

    async def _keep(self) -> None:
        shown = {str(input_id): [m.chat_id, m.message_id] for input_id, m in self._waiting.items() if m.shown}
        try:
            await self._kv.set(REACTIONS, shown)
        except StorageError as error:
            self._log.debug("the reactions will not be known after a restart", error=str(error))
