"""One SQLite home belongs to one process: a lock that the operating system lets go of when the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from core.contracts.errors import HomeInUse, StorageError


class HomeLock:
    """Held from `take` until `release` or the end of the process, however that comes."""

    def __init__(self, home: Path, name: str = "lock") -> None:
        self._path = home / name
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock; raises HomeInUse with the id of the process that has it."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(
                f"The home {self._path.parent} cannot be written to: {error.strerror}.",
                cure="Set REKKU_HOME to a directory that this user may write to.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise HomeInUse(
                f"Another Rekku (process {holder}) is using {self._path.parent}.",
                cure="Stop it first, or set REKKU_HOME to another directory.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; the file stays, its lock does not."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
