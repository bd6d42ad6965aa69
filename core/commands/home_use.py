"""Which processes use a home right now."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def process_using(home: Path) -> str:
    """Return the ids of the processes that run on this home, whatever their roles, with commas between, or "".

    Whether there is one tells the lock itself; what stands in the file may be left from one that was killed.
    """
    holders = {_holder(lock) for lock in (home / "lock", *home.glob("lock-*"))} - {""}
    return ", ".join(sorted(holders))


def _holder(lock: Path) -> str:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(descriptor)
    return ""
