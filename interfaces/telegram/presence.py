"""Signs of life while a turn runs: the typing sign, and one message that tells of its progress. All best effort."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiogram.exceptions import TelegramAPIError, TelegramRetryAfter
from aiogram.methods import DeleteMessage, EditMessageText, SendChatAction, SendMessage, TelegramMethod
from structlog.typing import FilteringBoundLogger

from core.contracts.deliveries import Activity, ActivityKind
from core.contracts.errors import StorageError
from core.contracts.inputs import Address
from core.contracts.services import Clock
from interfaces.telegram.client import Client, Unreachable
from interfaces.telegram.formatted import without_lone_surrogates
from interfaces.telegram.moved_chats import MovedChats
from interfaces.telegram.owned_tasks import OwnedTasks
from interfaces.telegram.pace import Pace

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

    def __init__(
        self,
        client: Client,
        pace: Pace,
        moved: MovedChats,
        tasks: OwnedTasks,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._client = client
        self._pace = pace
        self._moved = moved
        self._tasks = tasks
        self._clock = clock
        self._log = log
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
            await self._call(chat_id, SendChatAction(chat_id=chat_id, action="typing", message_thread_id=thread_id))
            await self._clock.sleep(TYPING_EVERY_S)

    async def _tell(self, shown: _Shown, chat_id: int, thread_id: int | None) -> None:
        """Show the newest text: in a message of its own the first time, then in its place."""
        if not shown.text.strip():
            return
        if shown.message_id:
            edit = EditMessageText(chat_id=chat_id, message_id=shown.message_id, text=shown.text)
            await self._call(chat_id, edit)
            return
        method = SendMessage(chat_id=chat_id, message_thread_id=thread_id, text=shown.text, disable_notification=True)
        if self._pace.has_room(chat_id):
            try:
                shown.message_id = (await self._client(method)).message_id
            except TelegramRetryAfter as error:
                self._pace.hold(chat_id, error.retry_after)
            except (TelegramAPIError, Unreachable) as error:
                self._log.debug("progress could not be shown", error=str(error))

    def _end(self, shown: _Shown) -> None:
        if shown.task is not None:
            shown.task.cancel()
        if shown.message_id:
            self._tasks.spawn(self._take_back(shown), "end of a progress message")

    async def _take_back(self, shown: _Shown) -> None:
        """The reply is there: the message that told of its progress is of no use any more."""
        chat_id, _ = await self._place(shown)
        await self._call(chat_id, DeleteMessage(chat_id=chat_id, message_id=shown.message_id))

    async def _place(self, shown: _Shown) -> tuple[int, int | None]:
        thread = shown.address.thread_id
        chat_id = int(shown.address.chat_id)
        try:
            chat_id = await self._moved.now_at(chat_id)
        except StorageError as error:
            self._log.debug("it is not known whether the chat has moved", error=str(error))
        return chat_id, int(thread) if thread is not None else None

    async def _call(self, chat_id: int, method: TelegramMethod[Any]) -> None:
        if not self._pace.has_room(chat_id):
            return
        try:
            await self._client(method)
        except TelegramRetryAfter as error:
            self._pace.hold(chat_id, error.retry_after)
        except (TelegramAPIError, Unreachable) as error:
            self._log.debug("a sign of life could not be given", error=str(error))
