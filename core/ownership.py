"""What a process may call its own: the home of a SQLite database, and the leases of those that ran before it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
from collections.abc import Collection, Iterator
from enum import StrEnum

from core.contracts.errors import HomeInUse
from core.settings import Settings
from core.storage.home_lock import HomeLock


class Duty(StrEnum):
    """What a process does; one that is given none does all."""

    GATEWAY = "gateway"
    """It talks to the platforms: takes inputs in and delivers."""
    WORKER = "worker"
    """It runs turns."""
    SCHEDULER = "scheduler"
    """It fires reminders, runs periodic jobs and keeps house."""


ALL_DUTIES = frozenset(Duty)


class Ownership:
    """The name under which a process holds leases, `PLACE.TOKEN`, and the lock that makes its place its own.

    place: of this machine, home and set of duties, so that the next process there knows whose leases are void; while
    another process has it, the process's own id stands there. On SQLite, where one process has the home, all are
    void.
    """

    def __init__(self, settings: Settings, duties: Collection[Duty]) -> None:
        self._settings = settings
        self._shared = settings.database_server is not None
        self._name = "lock" if set(duties) == ALL_DUTIES else f"lock-{'-'.join(sorted(duties))}"
        place = "\0".join((platform.node(), str(settings.home), self._name))
        self._place = hashlib.sha256(place.encode()).hexdigest()[:12]
        self.owner = f"{self._place}.{secrets.token_hex(8)}"
        self.predecessors: str | None = None
        """How the names of owners begin whose leases are void; None: of nobody's."""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; raises HomeInUse when another process has this home and its database."""
        lock = HomeLock(self._settings.home, self._name)
        try:
            lock.take()
        except HomeInUse:
            if not self._shared:
                raise
            self.owner = f"{os.getpid()}.{secrets.token_hex(8)}"
            yield
            return
        try:
            self.predecessors = f"{self._place}." if self._shared else ""
            yield
        finally:
            lock.release()
