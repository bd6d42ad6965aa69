"""Long polling: the offset moves past an update only when its input is stored.

Telegram forgets what lies below the offset of a getUpdates call, and repeats the rest. So a call is only made once
everything that the one before had brought is stored.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

from aiogram.exceptions import (
    TelegramAPIError,
    TelegramConflictError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.methods import DeleteWebhook
from structlog.typing import FilteringBoundLogger

from core.contracts.errors import RekkuError
from core.contracts.services import Clock
from interfaces.telegram.client import Client, RawUpdates, Unreachable
from interfaces.telegram.intake import Intake, by_chat, groups
from interfaces.telegram.looking import TOKEN_CURE, TOKEN_REFUSED
from interfaces.telegram.standing import Standing
from interfaces.telegram.updates import TAKEN, album_of

POLL_S = 25
ALBUM_QUIET_S = 0.6
"""The parts of an album arrive one after another; when it stands last in an answer, more of it may come."""

MOST_ALBUM_LOOKS = 4
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 1.0, 60.0
SLOW_RETRY_S = 30.0
CONFLICT = "Another program fetches the updates of this bot, so neither of us gets all of them."
CONFLICT_CURE = "Stop the other one, or give it a bot of its own from @BotFather."


class Poller:
    """Fetches updates for as long as `run` runs."""

    def __init__(
        self, client: Client, intake: Intake, standing: Standing, clock: Clock, log: FilteringBoundLogger
    ) -> None:
        self._client = client
        self._intake = intake
        self._standing = standing
        self._clock = clock
        self._log = log
        self._offset: int | None = None
        self._failures = 0

    async def run(self) -> NoReturn:
        """Fetch and hand in updates until cancelled."""
        webhook_gone = False
        while True:
            try:
                if not webhook_gone:
                    await self._client(DeleteWebhook(drop_pending_updates=False))
                    webhook_gone = True
                batch = await self._fetch(self._offset, POLL_S)
                self._failures = 0
                self._standing.works()
                await self._take(await self._with_whole_albums(batch))
            except (TelegramAPIError, Unreachable) as error:
                await self._clock.sleep(self._wait_s(error))

    async def _fetch(self, offset: int | None, poll_s: int) -> list[Any]:
        method = RawUpdates(offset=offset, timeout=poll_s, allowed_updates=list(TAKEN))
        return await self._client(method, timeout_s=poll_s + 15)

    async def _with_whole_albums(self, batch: list[Any]) -> list[Any]:
        """Look again, without confirming anything, as long as the album that stands last still grows."""
        for _ in range(MOST_ALBUM_LOOKS):
            if not batch or album_of(batch[-1]) is None:
                break
            await self._clock.sleep(ALBUM_QUIET_S)
            again = await self._fetch(self._offset, 0)
            if len(again) <= len(batch):
                break
            batch = again
        return batch

    async def _take(self, batch: list[Any]) -> None:
        # Chats side by side, so that they share commits; what was said in one chat stays in its order.
        async with asyncio.TaskGroup() as tasks:
            for chat in by_chat(groups(batch, album_of)):
                tasks.create_task(self._take_in_order(chat))
        ids = [raw["update_id"] for raw in batch if isinstance(raw, dict) and isinstance(raw.get("update_id"), int)]
        if ids:
            self._offset = max(ids) + 1
        elif batch:
            self._log.error("an answer of getUpdates has no ids; it is asked again", updates=len(batch))
            await self._clock.sleep(SLOW_RETRY_S)
        else:
            # All before is confirmed by now. After a quiet week Telegram draws new ids, which may be lower ones.
            self._offset = None

    async def _take_in_order(self, said: list[list[Any]]) -> None:
        for group in said:
            await self._take_surely(group)

    async def _take_surely(self, group: list[Any]) -> None:
        """Hand in until it is stored; the offset stays where it is until then."""
        wait_s = FIRST_BACK_OFF_S
        while True:
            try:
                return await self._intake.take(group)
            except RekkuError as error:
                self._log.warning("updates wait until they can be stored", error=str(error), wait_s=wait_s)
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_BACK_OFF_S)

    def _wait_s(self, error: TelegramAPIError | Unreachable) -> float:
        self._failures += 1
        match error:
            case TelegramConflictError():
                self._standing.fails(CONFLICT, CONFLICT_CURE)
                return SLOW_RETRY_S
            case TelegramUnauthorizedError() | TelegramNotFound():
                self._standing.fails(TOKEN_REFUSED, TOKEN_CURE)
                return SLOW_RETRY_S
            case TelegramRetryAfter():
                return float(error.retry_after)
        self._standing.fails(f"Updates cannot be fetched: {error}")
        return float(min(FIRST_BACK_OFF_S * 2 ** min(self._failures - 1, 10), LONGEST_BACK_OFF_S))
