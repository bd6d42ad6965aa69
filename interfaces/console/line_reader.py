"""Lines from a pipe, a file or a terminal, without blocking the event loop and in bounded memory."""

from __future__ import annotations

import asyncio
import codecs
import os
import select
from dataclasses import dataclass
from typing import IO, Any

from interfaces.console.blocking import in_thread

MAX_LINE_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_SILENCE_WAIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line without its end; `too_long` says that it was over the limit and was dropped."""

    number: int
    text: str = ""
    too_long: bool = False


class LineReader:
    """Reads a stream of bytes or text line by line; what is not UTF-8 is replaced."""

    def __init__(self, stream: IO[bytes] | IO[str], *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._stream: IO[Any] = stream
        self._max_line_bytes = max_line_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._dropping = False
        self._ended = False
        self._number = 0
        self._reading: asyncio.Future[bytes] | None = None
        self._closed = False

    async def read(self) -> Line | None:
        """Return the next line, or None at the end of the stream; raises OSError where it cannot be read."""
        while not self._closed:
            end = self._buffer.find(b"\n", self._searched)
            if end >= 0:
                return self._take(end)
            if self._ended:
                return self._take(len(self._buffer)) if self._buffer or self._dropping else None
            if len(self._buffer) > self._max_line_bytes:
                self._dropping = True
                self._buffer.clear()
            self._searched = len(self._buffer)
            await self._fill()
        return None

    def close(self) -> None:
        """End a `read` that waits, and every later one, with None."""
        self._closed = True
        if self._reading is not None:
            self._reading.cancel()

    def _take(self, end: int) -> Line:
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        self._number += 1
        too_long = self._dropping or len(raw) > self._max_line_bytes
        self._dropping = False
        if too_long:
            return Line(number=self._number, too_long=True)
        if self._number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        return Line(number=self._number, text=raw.decode("utf-8", "replace").removesuffix("\r"))

    async def _fill(self) -> None:
        self._reading = in_thread(self._read_chunk)
        try:
            chunk = await self._reading
        except asyncio.CancelledError:
            if self._closed:
                return
            raise
        self._buffer += chunk
        self._ended = not chunk

    def _read_chunk(self) -> bytes:
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):  # a stream in memory
            chunk: bytes | str = self._stream.readline(_CHUNK_BYTES)
            return chunk.encode("utf-8", "replace") if isinstance(chunk, str) else chunk
        # Past the stream's own buffer: a thread that waits in there would abort the interpreter's shutdown.
        while not self._closed:
            try:
                return os.read(descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                select.select([descriptor], [], [], _SILENCE_WAIT_S)
            if self._stream.closed:
                break  # by now the number of its descriptor may be another file's
        return b""
