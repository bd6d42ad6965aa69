"""The operating system's side of an isolated plugin: its processes, their sockets and their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from core.isolation.control_group import ControlGroup
from core.isolation.limits import Limits
from core.isolation.usage import Usage, memory_below, usage_below

ENDING_S = 5.0
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
"""The variables that a plugin's process gets; none of them holds a setting of Rekku."""

_SOURCES = Path(__file__).resolve().parents[2]


class PluginProcess:
    """The guard and the worker of one plugin (see `core.isolation.child`), started when this is made.

    connection: the protocol's. output: what is printed. It must be made in the main thread of the event loop.
    """

    def __init__(self, limits: Limits) -> None:
        self._ending = threading.Lock()
        self._ended: str | None = None
        self._group = ControlGroup(limits)
        self.connection, theirs = socket.socketpair()
        self._life, life = socket.socketpair()
        self.output, printed = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-u", "-m", "core.isolation.child"),
                    *(str(theirs.fileno()), str(life.fileno()), limits.as_text(), *self._group.members),
                ],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=printed.fileno(),
                stderr=printed.fileno(),
                pass_fds=(theirs.fileno(), life.fileno()),
                start_new_session=True,
            )
        except BaseException:
            self._life.close()
            self.close()
            self._group.remove()
            raise
        finally:
            for one in (theirs, life, printed):
                one.close()
        self.connection.setblocking(False)
        self.output.setblocking(False)

    @property
    def pid(self) -> int:
        """The guard's process id; everything of the plugin descends from it."""
        return self._process.pid

    def lives(self) -> bool:
        """Whether the plugin's process itself still runs, as far as that can be seen."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            worker = int(self._life.recv(32, socket.MSG_PEEK | socket.MSG_DONTWAIT).split()[0])
            return Path("/proc", str(worker), "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False

    def usage(self) -> Usage | None:
        """Return what the plugin's processes use."""
        return usage_below(self.pid)

    def memory_bytes(self) -> int:
        """Return how much memory they use; slower than `usage`, and exact."""
        return memory_below(self.pid)

    async def end(self) -> str:
        """End all of it; return how the plugin's process ended: "exit 3", "signal 11", "" if not known."""
        try:
            return await asyncio.to_thread(self.end_now)
        except RuntimeError:  # the event loop is ending and has no threads any more
            return self.end_now()

    def end_now(self) -> str:
        """Do it at once; blocks for a moment."""
        with self._ending:
            if self._ended is None:
                self._ended = self._end()
        return self._ended

    def _end(self) -> str:
        said = b""
        self._life.settimeout(ENDING_S)
        with contextlib.suppress(OSError):  # the guard is gone already
            self._life.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):  # likewise, or it hangs
            while chunk := self._life.recv(1024):
                said += chunk
        try:
            self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._life.close()
        self._group.end()
        self._group.remove()
        return said.decode("ascii", "replace").partition(" ")[2].strip()

    def close(self) -> None:
        """Close the sockets, once nobody reads them any more."""
        self.connection.close()
        self.output.close()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    # Of each thread its own pool of memory would be much, and is counted.
    return {**kept, "PYTHONPATH": str(_SOURCES), "PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"}
