"""Plain writing to a standard stream without blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Callable
from typing import TextIO

from interfaces.console.blocking import in_thread
from interfaces.console.terminal_text import visible_controls

_FULL_PIPE_WAIT_S = 1.0


class PlainOutput:
    """Writes whole texts, one after the other, to the stream that `stream()` returns at that time."""

    def __init__(self, stream: Callable[[], TextIO | None]) -> None:
        self._stream = stream
        self._turn = asyncio.Lock()
        self._writing: asyncio.Future[None] | None = None
        self.closed = False
        """Whether a write has failed: the reader has gone."""

    async def write(self, text: str) -> None:
        """Return once `text` is written and flushed; raises OSError or ValueError where the stream cannot take it.

        A terminal gets control characters in a visible form, a pipe or file gets the text unchanged.
        """
        async with self._turn:
            if self._writing is not None and not self._writing.done():
                # The caller before gave up, its write did not: two at once would mix their texts.
                with contextlib.suppress(OSError, ValueError):
                    await asyncio.shield(self._writing)
            stream = self._stream()
            self._writing = in_thread(lambda: _write(stream, text))
            try:
                await asyncio.shield(self._writing)
            except (OSError, ValueError):
                self.closed = True
                raise

    async def say(self, text: str) -> None:
        """Write a line that is only a notice: a stream that cannot take it is no error."""
        with contextlib.suppress(OSError, ValueError):
            await self.write(text + "\n")


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # what Python makes of a standard stream that is closed
        raise OSError("the stream is closed")
    if stream.isatty():
        text = visible_controls(text)
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # a stream in memory
        stream.write(text)
        stream.flush()
        return
    # Past the stream's own buffer: what sits in there after a broken pipe would fail once more at exit, and a thread
    # that blocks while it holds the buffer's lock would abort the interpreter's shutdown.
    stream.flush()
    left = memoryview(text.encode(stream.encoding or "utf-8", "replace"))
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            select.select([], [descriptor], [], _FULL_PIPE_WAIT_S)
