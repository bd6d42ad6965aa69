"""What the terminal of a session shows, rendered with pyte when somebody wants to see it."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyte

MOST_PENDING_BYTES = 256 * 1024
_FULL_SCREEN = re.compile(rb"\x1b\[\?(?:1049|1047|47)([hl])")
_APPLICATION_KEYS = re.compile(rb"\x1b\[\?1([hl])")
_LONGEST_SWITCH = 8


class Screen:
    """Takes what a terminal is sent; cheap until `lines` is asked for, which blocks and belongs in a thread."""

    def __init__(self, *, rows: int, columns: int) -> None:
        self._rows, self._columns = rows, columns
        self._pending = bytearray()
        self._carry = b""
        self._lock = threading.Lock()
        self._screen: pyte.Screen | None = None
        self._stream: pyte.ByteStream | None = None
        self.full_screen = False
        """Whether a program has taken the whole screen over (the alternate screen)."""
        self.application_keys = False
        """Whether a program wants other sequences from the cursor keys (DECCKM)."""

    def add(self, data: bytes) -> None:
        """Take the next bytes. Of a flood that nobody looks at, only the last part is kept."""
        seen = self._carry + data
        for switch in _FULL_SCREEN.finditer(seen):
            self.full_screen = switch[1] == b"h"
        for switch in _APPLICATION_KEYS.finditer(seen):
            self.application_keys = switch[1] == b"h"
        self._carry = seen[-_LONGEST_SWITCH:]
        self._pending += data
        if len(self._pending) > MOST_PENDING_BYTES:
            del self._pending[: -MOST_PENDING_BYTES // 2]

    def restore(self) -> None:
        """Take back what a program that has ended may have left switched on."""
        self.full_screen = self.application_keys = False
        self._carry = b""

    @property
    def behind(self) -> bool:
        """Whether so much waits that it should be rendered before some of it is dropped."""
        return len(self._pending) > MOST_PENDING_BYTES // 2

    def take(self) -> bytes:
        """Hand over what was not rendered yet; call it where `add` is called, and pass it to `lines`."""
        data = bytes(self._pending)
        self._pending.clear()
        return data

    def lines(self, data: bytes) -> list[str]:
        """Render and return the lines, without trailing spaces and empty lines. Blocks."""
        import pyte

        with self._lock:
            if self._screen is None or self._stream is None:
                self._screen = pyte.Screen(self._columns, self._rows)
                self._stream = pyte.ByteStream(self._screen)
            try:
                self._stream.feed(data)
            except Exception:  # noqa: BLE001 - pyte raises anything on sequences that it does not know
                self._stream = pyte.ByteStream(self._screen)
            lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines
