"""What a command printed, within a bound of bytes: its head and its tail; the middle is counted, not kept."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

_CONTINUATION_BYTES = 3
"""A character of UTF-8 that was cut may leave this many bytes behind."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The text that is left, and how many bytes of its middle are missing."""

    text: str
    cut_bytes: int


class BoundedOutput:
    """Takes any number of bytes and keeps `limit` of them, the first and the last half."""

    def __init__(self, limit: int) -> None:
        self._head_limit = limit // 2
        self._tail_limit = limit - self._head_limit
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self.total += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        # Trimmed at twice the limit, so that many small pieces do not move the whole each time.
        if len(self._tail) > 2 * self._tail_limit:
            del self._tail[: -self._tail_limit]

    def parts(self) -> tuple[bytes, int, bytes]:
        """Return the head, the number of bytes that are missing behind it, and the tail."""
        tail = bytes(self._tail[-self._tail_limit :])
        return bytes(self._head), self.total - len(self._head) - len(tail), tail

    def clear(self) -> None:
        """Forget everything."""
        self._head.clear()
        self._tail.clear()
        self.total = 0


def decoded(head: bytes, cut: int, tail: bytes) -> tuple[str, str]:
    """Return head and tail as text; what is no UTF-8, and NUL, becomes U+FFFD.

    Characters that the cut went through are left out.
    """
    if not cut:
        return _text(head + tail), ""
    start = 0
    while start < min(_CONTINUATION_BYTES, len(tail)) and tail[start] & 0xC0 == 0x80:
        start += 1
    incomplete = codecs.getincrementaldecoder("utf-8")("replace")
    return incomplete.decode(head).replace("\0", "�"), _text(tail[start:])


def joined(head: str, cut: int, tail: str) -> str:
    """Put the two together, with a line that says what is missing between them."""
    return f"{head}\n[… {cut} bytes left out …]\n{tail}" if cut else head


def kept(output: BoundedOutput) -> Kept:
    """Return what a stream printed."""
    head, cut, tail = output.parts()
    return Kept(joined(*_with(cut, decoded(head, cut, tail))), cut)


def _with(cut: int, texts: tuple[str, str]) -> tuple[str, int, str]:
    return texts[0], cut, texts[1]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\0", "�")
