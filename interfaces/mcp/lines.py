"""Lines from and to a descriptor of any kind: a pipe, a file, a terminal or the null device.

The blocking calls are made in threads that do not keep the process alive: an event loop cannot wait for a file, and a
read of a silent client, or a write to one that does not read, may never return.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

LONGEST_LINE = 4 * 1024 * 1024
_CHUNK = 64 * 1024


class LineTooLong(ValueError):
    """A line was longer than `LONGEST_LINE`, and skipped."""


class LinesIn:
    """Reads lines; what cannot be read any more is at its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._kept = bytearray()
        self._skipping = False
        self._ended = False
        self._in_use = False

    async def next(self) -> bytes | None:
        """Return the next line, without its end; None at the end of input. Raises LineTooLong."""
        while True:
            line, newline, rest = self._kept.partition(b"\n")
            if newline or (self._ended and self._kept):
                self._kept = rest
                if self._skipping or len(line) > LONGEST_LINE:
                    self._skipping = False
                    raise LineTooLong(f"A line is longer than {LONGEST_LINE} bytes.")
                return bytes(line)
            if self._ended:
                return None
            if len(self._kept) > LONGEST_LINE:
                self._skipping = True
                del self._kept[1:]
            self._in_use = True
            chunk = await _in_thread(lambda: _read(self._fd))
            self._in_use = False
            self._kept += chunk
            self._ended = not chunk

    def close(self) -> None:
        """Close the descriptor, unless a thread is left with it: its number would become another file's."""
        if not self._in_use:
            os.close(self._fd)


class LinesOut:
    """Writes lines."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._in_use = False

    async def write(self, line: bytes) -> None:
        """Write a whole line. Raises OSError."""
        self._in_use = True
        try:
            await _in_thread(lambda: _write(self._fd, line + b"\n"))
        except OSError:
            self._in_use = False
            raise
        self._in_use = False

    def close(self) -> None:
        """Close the descriptor, unless a thread is left with it."""
        if not self._in_use:
            os.close(self._fd)


def _in_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()

    def work() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=work, name="rekku-mcp", daemon=True).start()
    return asyncio.wrap_future(done)


def _read(fd: int) -> bytes:
    while True:
        try:
            return os.read(fd, _CHUNK)
        except BlockingIOError:  # whoever gave us the descriptor had it so
            select.select([fd], [], [])
        except OSError:  # a terminal that was closed, a directory
            return b""


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
