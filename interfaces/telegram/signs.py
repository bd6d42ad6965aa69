"""Calls on which nothing depends: typing, progress, reactions. They never take the room of a message."""

from __future__ import annotations

from typing import TypeVar

from aiogram.exceptions import TelegramAPIError, TelegramRetryAfter
from aiogram.methods import TelegramMethod
from structlog.typing import FilteringBoundLogger

from core.contracts.errors import StorageError
from interfaces.telegram.client import Client, Unreachable
from interfaces.telegram.moved_chats import MovedChats
from interfaces.telegram.pace import Pace

T = TypeVar("T")


class Signs:
    """Makes such calls while there is room for them; what is refused is let go."""

    def __init__(self, client: Client, pace: Pace, moved: MovedChats, log: FilteringBoundLogger) -> None:
        self._client = client
        self._pace = pace
        self._moved = moved
        self._log = log

    async def give(self, chat_id: int, method: TelegramMethod[T], *, says: bool = False) -> T | None:
        """Make a call; None when there was no room for it or it was refused. says: it is a message of its own."""
        has_room = self._pace.has_room_to_say if says else self._pace.has_room
        if not await has_room(chat_id):
            return None
        try:
            return await self._client(method)
        except TelegramRetryAfter as error:
            await self._pace.held.hold(chat_id, error.retry_after)
        except (TelegramAPIError, Unreachable) as error:
            self._log.debug("a sign of life could not be given", error=str(error))
        return None

    async def now_at(self, chat_id: int) -> int:
        """Return the id under which a chat is reached."""
        try:
            return await self._moved.now_at(chat_id)
        except StorageError as error:
            self._log.debug("it is not known whether the chat has moved", error=str(error))
        return chat_id
