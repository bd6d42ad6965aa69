"""What a process may call its own: the home of a SQLite database, and the leases of those that ran before it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Any

from core.contracts.errors import HomeInUse
from core.services import inbox, outbox
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


_ONE_IN_A_HOME = (Duty.GATEWAY, Duty.SCHEDULER)
"""Duties that a home has one process for: two pollers of one account take updates from each other, two schedulers do
everything periodic twice."""


class Ownership:
    """The name under which a process holds leases, `PLACE.TOKEN`, and the locks that make its place its own.

    place: of this machine, home and set of duties, so that the next process there knows whose leases are void. On
    SQLite, where one process has the home, all are void. On a server a home has one process without roles, or one for
    each role but for workers, of which it may have several; of those, the process's own id stands for the place of
    all but the first.
    """

    def __init__(self, settings: Settings, duties: Collection[Duty]) -> None:
        self._settings = settings
        self._shared = settings.database_server is not None
        self._duties = frozenset(duties)
        self._name = "lock" if self._duties == ALL_DUTIES else f"lock-{'-'.join(sorted(duties))}"
        place = "\0".join((platform.node(), str(settings.home), self._name))
        self._place = hashlib.sha256(place.encode()).hexdigest()[:12]
        self.owner = f"{self._place}.{secrets.token_hex(8)}"
        self.predecessors: str | None = None
        """How the names of owners begin whose leases are void; None: of nobody's."""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the locks; raises HomeInUse when another process has this home for the same."""
        alone = [f"lock-{duty}" for duty in _ONE_IN_A_HOME if self._shared and duty in self._duties]
        with contextlib.ExitStack() as stack:
            for name in sorted({*alone} - {self._name}):
                self._take(name, stack)
            try:
                self._take(self._name, stack)
            except HomeInUse:
                if alone or not self._shared:
                    raise
                self.owner = f"{os.getpid()}.{secrets.token_hex(8)}"
            else:
                self.predecessors = f"{self._place}." if self._shared else ""
            yield

    def _take(self, name: str, stack: contextlib.ExitStack) -> None:
        lock = HomeLock(self._settings.home, name)
        lock.take()
        stack.callback(lock.release)


def expire_leases(conn: Any, predecessors: str) -> None:
    """Void the leases of those that ran in this place before. conn: of a write transaction."""
    inbox.expire_leases(conn, predecessors)
    outbox.expire_leases(conn, predecessors)
