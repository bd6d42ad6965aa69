"""Signs of life while a turn runs: the typing sign, and one message that tells of its progress. All best effort."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiogram.methods import DeleteMessage, EditMessageText, SendChatAction, SendMessage

from core.contracts.deliveries import Activity, ActivityKind
from core.contracts.inputs import Address
from core.contracts.services import Clock
from interfaces.telegram.formatted import without_lone_surrogates
from interfaces.telegram.owned_tasks import OwnedTasks
from interfaces.telegram.signs import Signs

FIRST_SIGN_S = 0.3
"""A turn that ends sooner needs no sign."""

TYPING_EVERY_S = 4.0
"""Telegram shows it for 5 seconds at most (https://core.telegram.org/bots/api#sendchataction)."""

LONGEST_SIGN_S = 15 * 60.0
LONGEST_PROGRESS = 1000
MOST_TURNS = 300


@dataclass(slots=True, kw_only=True)
class _Shown:
    """What is shown of one turn. news: there is a text that is not shown yet."""

    address: Address
    text: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    message_id: int = 0
    task: asyncio.Task[None] | None = None


class Presence:
    """Shows the turns that run, each in a task of its own that ends with it."""

    def __init__(self, signs: Signs, tasks: OwnedTasks, clock: Clock) -> None:
        self._signs = signs
        self._tasks = tasks
        self._clock = clock
        self._turns: dict[int, _Shown] = {}

    def show(self, activity: Activity) -> None:
        """Take note of an activity; returns at once."""
        shown = self._turns.get(activity.input_id)
        if activity.kind is ActivityKind.ENDED:
            if shown is not None:
                del self._turns[activity.input_id]
                self._end(shown)
            return
        if shown is None:
            if len(self._turns) >= MOST_TURNS:
                return
            shown = self._turns[activity.input_id] = _Shown(address=activity.address)
            shown.task = self._tasks.spawn(self._keep(shown), "signs of life")
        if activity.text:
            shown.text = without_lone_surrogates(activity.text)[:LONGEST_PROGRESS]
            shown.news.set()

    async def _keep(self, shown: _Shown) -> None:
        until = self._clock.monotonic() + LONGEST_SIGN_S
        await self._clock.sleep(FIRST_SIGN_S)
        while self._clock.monotonic() < until:
            chat_id, thread_id = await self._place(shown)
            if shown.news.is_set():
                shown.news.clear()
                await self._tell(shown, chat_id, thread_id)
            typing = SendChatAction(chat_id=chat_id, action="typing", message_thread_id=thread_id)
            await self._signs.give(chat_id, typing)
            await self._clock.sleep(TYPING_EVERY_S)

    async def _tell(self, shown: _Shown, chat_id: int, thread_id: int | None) -> None:
        """Show the newest text: in a message of its own the first time, then in its place."""
        text = shown.text
        if not text.strip():
            return
        if shown.message_id:
            edit = EditMessageText(chat_id=chat_id, message_id=shown.message_id, text=text)
            told = await self._signs.give(chat_id, edit) is not None
        else:
            said = SendMessage(chat_id=chat_id, message_thread_id=thread_id, text=text, disable_notification=True)
            message = await self._signs.give(chat_id, said, says=True)
            told = message is not None
            shown.message_id = message.message_id if message is not None else 0
        if not told:
            shown.news.set()  # there may be room the next time

    def _end(self, shown: _Shown) -> None:
        if shown.task is not None:
            shown.task.cancel()
        if shown.message_id:
            self._tasks.spawn(self._take_back(shown), "end of a progress message")

    async def _take_back(self, shown: _Shown) -> None:
        """The reply is there: the message that told of its progress is of no use any more."""
        chat_id, _ = await self._place(shown)
        await self._signs.give(chat_id, DeleteMessage(chat_id=chat_id, message_id=shown.message_id))

    async def _place(self, shown: _Shown) -> tuple[int, int | None]:
        thread = shown.address.thread_id
        return await self._signs.now_at(int(shown.address.chat_id)), int(thread) if thread is not None else None
