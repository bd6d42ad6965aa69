"""Chats that Telegram asked to leave alone for a while: `retry_after`, kept over a restart."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from core.contracts.errors import StorageError
from core.contracts.services import Clock, KeyValueStore
from interfaces.telegram.kept_of_person import HELD

MOST_CHATS = 500


class HeldChats:
    """Knows for how long each chat is to be left alone. Time that passes while the process is down counts."""

    def __init__(self, kv: KeyValueStore, clock: Clock, log: FilteringBoundLogger) -> None:
        self._kv = kv
        self._clock = clock
        self._log = log
        self._until: dict[int, float] = {}

    async def load(self) -> None:
        """Take up what an earlier run was asked for; raises StorageError."""
        stored = await self._kv.get(HELD, {})
        now_ms = self._clock.now_ms()
        for chat, (until_ms, seconds) in stored.items():
            # A clock that was set back makes nobody wait longer than was asked for.
            left_s = min((until_ms - now_ms) / 1000, seconds)
            if left_s > 0:
                self._until[int(chat)] = self._clock.monotonic() + left_s

    async def hold(self, chat_id: int, seconds: float) -> None:
        """Telegram asked to leave a chat alone."""
        self._until[chat_id] = max(self._until.get(chat_id, 0.0), self._clock.monotonic() + seconds)
        while len(self._until) > MOST_CHATS:
            del self._until[min(self._until, key=self._until.__getitem__)]
        now_ms = self._clock.now_ms()
        left = {chat: self.left_s(chat) for chat in list(self._until)}
        kept = {str(chat): [now_ms + round(s * 1000), round(s, 3)] for chat, s in left.items() if s > 0}
        try:
            await self._kv.set(HELD, kept)
        except StorageError as error:
            self._log.warning("a chat's waiting time will not be known after a restart", error=str(error))

    def left_s(self, chat_id: int) -> float:
        """Return for how many more seconds a chat is to be left alone."""
        left_s = self._until.get(chat_id, 0.0) - self._clock.monotonic()
        if left_s <= 0:
            self._until.pop(chat_id, None)
        return max(left_s, 0.0)
