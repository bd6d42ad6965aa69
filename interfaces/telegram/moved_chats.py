"""Groups that became supergroups, and so have another id: what was to go to the old one goes to the new one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from core.contracts.services import KeyValueStore

MOST = 500
_KEY = "moved chats"


class MovedChats:
    """Remembers across restarts. `tell(old, new)` is called when it is news, before it is remembered."""

    def __init__(self, kv: KeyValueStore, tell: Callable[[int, int], Awaitable[None]]) -> None:
        self._kv = kv
        self._tell = tell
        self._moved: dict[int, int] | None = None

    async def now_at(self, chat_id: int) -> int:
        """Return the id under which a chat is reached."""
        if chat_id >= 0:
            return chat_id
        moved = await self._all()
        return moved.get(chat_id, chat_id)

    async def note(self, old: int, new: int) -> None:
        """Remember that a chat moved."""
        moved = await self._all()
        if moved.get(old) == new:
            return
        await self._tell(old, new)  # raises when it could not be stored; the update comes again then
        moved[old] = new
        while len(moved) > MOST:
            del moved[next(iter(moved))]
        await self._kv.set(_KEY, {str(before): after for before, after in moved.items()})

    async def _all(self) -> dict[int, int]:
        if self._moved is None:
            stored = await self._kv.get(_KEY, {})
            self._moved = {int(before): int(after) for before, after in stored.items()}
        return self._moved
