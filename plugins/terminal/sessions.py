"""The sessions that are open, whose they are, and the ones that a restart has taken away."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from core.contracts.errors import ActionFailed
from core.contracts.services import Clock, KeyValueStore
from plugins.terminal.session import Session

REMEMBERED = "sessions"
MOST_REMEMBERED = 100

StartSession = Callable[[str, str, Path], Awaitable[Session]]
"""Called with name, owner and an empty control directory."""


class Sessions:
    """Opens, finds and closes sessions. Owners are principals as text; each sees only its own."""

    def __init__(
        self, *, start: StartSession, directory: Path, clock: Clock, kv: KeyValueStore, most: int, idle_s: float
    ) -> None:
        self._start = start
        self._directory = directory
        self._clock = clock
        self._kv = kv
        self._most = most
        self._idle_s = idle_s
        self._open: dict[tuple[str, str], Session] = {}
        self._lost: dict[tuple[str, str], str] = {}
        self._opening = asyncio.Lock()

    async def load(self) -> None:
        """Note what was open when the last process ended: all of it is lost now."""
        for owner, name, why in await self._kv.get(REMEMBERED, []):
            self._lost[owner, name] = why or "lost when Rekku restarted"
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(mode=0o700)
        await self._remember()

    def owned(self, owner: str) -> list[Session]:
        """Return the open sessions of an owner."""
        return [session for (whose, _), session in self._open.items() if whose == owner]

    def gone(self, owner: str) -> dict[str, str]:
        """Return the names of an owner's sessions that are gone and why, until they are opened anew."""
        return {name: why for (whose, name), why in self._lost.items() if whose == owner}

    def get(self, owner: str, name: str) -> Session:
        """Return an open session; raises ActionFailed that says what there is."""
        session = self._open.get((owner, name))
        if session is not None:
            session.last_used = self._clock.monotonic()
            return session
        why = self._lost.get((owner, name))
        if why is not None:
            raise ActionFailed(f"The session {name} was {why}.", cure="A command with that session opens it anew.")
        names = ", ".join(session.name for session in self.owned(owner)) or "none"
        raise ActionFailed(f"There is no session {name}. Open: {names}.")

    async def open(self, owner: str, name: str) -> tuple[Session, str]:
        """Return the session of that name, started if need be, and what became of an earlier one ("": nothing)."""
        async with self._opening:
            session = self._open.get((owner, name))
            if session is not None and session.alive:
                session.last_used = self._clock.monotonic()
                return session, ""
            for dead in [one for one in self._open.values() if not one.alive]:
                await self._drop(dead, "closed because its shell had ended")
            if len(self._open) >= self._most:
                raise ActionFailed(f"{self._most} sessions are open, and no more may be.", cure="Close one of them.")
            control = self._directory / secrets.token_hex(8)
            control.mkdir(mode=0o700)
            try:
                session = await self._start(name, owner, control)
            except BaseException:
                shutil.rmtree(control, ignore_errors=True)
                raise
            session.last_used = self._clock.monotonic()
            self._open[owner, name] = session
            why = self._lost.pop((owner, name), "")
            await self._remember()
            return session, f"The earlier session of this name was {why}; this is a new one." if why else ""

    async def close(self, session: Session, why: str = "") -> None:
        """Close a session; with a reason it is remembered as gone."""
        await self._drop(session, why)
        await self._remember()

    async def close_idle(self) -> None:
        """Close what nobody has used for too long."""
        now = self._clock.monotonic()
        for session in list(self._open.values()):
            if not session.lock.locked() and now - session.last_used >= self._idle_s:
                await self.close(session, "closed because it was idle")

    async def stop(self) -> None:
        """End every shell; the names stay remembered, for whoever asks after a restart."""
        sessions, self._open = list(self._open.values()), {}
        await asyncio.gather(*(session.close() for session in sessions))

    async def _drop(self, session: Session, why: str) -> None:
        self._open.pop((session.owner, session.name), None)
        if why:
            self._lost[session.owner, session.name] = why
            while len(self._lost) > MOST_REMEMBERED:
                del self._lost[next(iter(self._lost))]
        await session.close()

    async def _remember(self) -> None:
        lost = [[owner, name, why] for (owner, name), why in self._lost.items()]
        await self._kv.set(REMEMBERED, [*lost, *([owner, name, ""] for owner, name in self._open)])


async def remembered_of(kv: KeyValueStore, owner: str) -> list[dict[str, str]]:
    """Return the sessions of an owner that are remembered, and why they are gone ("": they are not known to be)."""
    stored = await kv.get(REMEMBERED, [])
    return [{"session": name, "gone": why} for whose, name, why in stored if whose == owner]


async def forget_owner(kv: KeyValueStore, owner: str) -> int:
    """Remember no session of an owner any more; return how many were. A running process keeps those it knows."""
    stored = await kv.get(REMEMBERED, [])
    kept = [one for one in stored if one[0] != owner]
    if len(kept) < len(stored):
        await kv.set(REMEMBERED, kept)
    return len(stored) - len(kept)
