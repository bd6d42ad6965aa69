"""What anybody else prints while the prompt is shown: a log line, a warning, a plugin's `print`."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

from interfaces.console.terminal_text import visible_controls_but_colours

_MAX_WAITING_CHARACTERS = 1024 * 1024


class StrayOutput(io.TextIOBase):
    """Stands in for stdout and stderr, from any thread: hands whole lines to `show`, in the event loop.

    Lines wait for the loop in at most 1 Mi characters; what is over that is dropped, and said to be.
    """

    def __init__(self, show: Callable[[str], None], stream: TextIO) -> None:
        self._show = show
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._waiting_characters = 0
        self._dropped = False

    def write(self, data: str) -> int:
        """Queue `data` to be shown once its line is complete."""
        with self._lock:
            if self._waiting_characters + len(data) > _MAX_WAITING_CHARACTERS:
                self._dropped = True
                return len(data)
            self._waiting.append(data)
            self._waiting_characters += len(data)
        if "\n" in data:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is shown any more
                self._loop.call_soon_threadsafe(self.show_lines)
        return len(data)

    def show_lines(self, *, rest: bool = False) -> None:
        """Show the complete lines that wait, and the last one too if `rest`."""
        with self._lock:
            lines, end, begun = "".join(self._waiting).rpartition("\n")
            if rest and begun:
                lines, end, begun = lines + end + begun, "\n", ""
            self._waiting, self._waiting_characters = [begun], len(begun)
            text = lines + end
            if self._dropped:
                text, self._dropped = text + "(more was printed than can be shown)\n", False
        if text:
            with contextlib.suppress(OSError):
                self._show(visible_controls_but_colours(text))

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The terminal's."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Whether it is shown on a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The terminal's, for programs that are started."""
        return self._stream.fileno()


@contextlib.contextmanager
def strays_shown(show: Callable[[str], None]) -> Iterator[None]:
    """While it lasts, hand what is printed to `show` instead of letting it through the prompt."""
    before = sys.stdout, sys.stderr
    stand_in = StrayOutput(show, sys.stdout)
    sys.stdout = sys.stderr = stand_in
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        stand_in.show_lines(rest=True)
