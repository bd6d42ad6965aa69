"""What is left of secrets in this process's own environment once they were read: nothing that a child could see."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Collection
from pathlib import Path

LONG_SECRET = 16
"""Characters from which on a secret is looked for inside other values as well."""

_STAT = Path("/proc/self/stat")
_ENV_START, _ENV_END = 47, 48
"""Behind the name of the program, counted from 0; proc_pid_stat(5) has them as fields 50 and 51."""


def drop_from_environment(secrets: Collection[str]) -> list[str]:
    """Take every variable that holds one of these values out of this process's environment; return their names.

    Child processes do not inherit them, and on Linux they cannot be read from /proc/PID/environ any more, which
    shows what a process was started with.
    """
    names = [name for name, value in os.environ.items() if any(_holds(value, secret) for secret in secrets)]
    for name in names:
        del os.environ[name]
    # Where there is no /proc, or the kernel does not tell, children still inherit nothing.
    with contextlib.suppress(OSError, ValueError, IndexError):
        _wipe({os.fsencode(name) for name in names})
    return names


def _holds(value: str, secret: str) -> bool:
    # A short one ("ollama", where a server wants any key) may stand in a path by chance.
    return value == secret or (len(secret) >= LONG_SECRET and secret in value)


def _wipe(names: Collection[bytes]) -> None:
    """Overwrite the values of variables where the kernel laid them down; they are in no use there any more."""
    fields = _STAT.read_text().rpartition(")")[2].split()
    start, end = int(fields[_ENV_START]), int(fields[_ENV_END])
    if not names or not 0 < start < end:
        return
    at = start
    for entry in ctypes.string_at(start, end - start).split(b"\0"):
        name, separator, value = entry.partition(b"=")
        if separator and name in names:
            ctypes.memset(at + len(name) + 1, ord("x"), len(value))
        at += len(entry) + 1
