"""Follows what comes out of a session's terminal: which command runs, what it printed, and when it is done."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from plugins.terminal.bounded_output import BoundedOutput, decoded, joined
from plugins.terminal.plain_text import plain_text
from plugins.terminal.screen import Screen
from plugins.terminal.shell_reports import Report, ReportReader

WITHOUT_PROMPT_S = 0.5
"""How long after the end of a command its prompt is waited for."""
RENDER_EVERY_S = 1.0


@dataclass(slots=True)
class Running:
    """A command that was given to the shell."""

    number: int
    since: float = field(default_factory=time.monotonic)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    status: int | None = None
    duration_s: float = 0.0
    output: tuple[bytes, int, bytes] = (b"", 0, b"")


class ShellWatch:
    """Takes the bytes of a terminal and keeps apart what the shell reports and what its programs print.

    ready: set when the shell has asked for input the first time. changed: set with whatever is new.
    """

    def __init__(self, *, secret: str, output_bytes: int, screen: Screen) -> None:
        self.ready = asyncio.Event()
        self.changed = asyncio.Event()
        self._reports = ReportReader(secret)
        self._output = BoundedOutput(output_bytes)
        self._screen = screen
        self._rendering: asyncio.Task[list[str]] | None = None
        self._rendered_at = 0.0
        self._muted = True
        self._running: Running | None = None
        self._number = 0

    @property
    def running(self) -> Running | None:
        """The last command, until its end was told to somebody."""
        return self._running

    @property
    def busy(self) -> bool:
        """Whether a command is not done yet."""
        return self._running is not None and not self._running.finished.is_set()

    @property
    def has_news(self) -> bool:
        """Whether there is output, or the end of a command, that nobody was told yet."""
        return self._output.total > 0 or (self._running is not None and self._running.finished.is_set())

    @property
    def application_keys(self) -> bool:
        """Whether the program in front wants other sequences from the cursor keys."""
        return self._screen.application_keys

    @property
    def next_number(self) -> int:
        """The number of the next command."""
        return self._number + 1

    def begin(self, command: str) -> Running:
        """Expect the reports of the next command; what is typed to have it run is no sight for anybody."""
        self._number += 1
        self._running = Running(self._number)
        self._muted = True
        self._screen.add(command.replace("\n", "\r\n").encode("utf-8", "replace") + b"\r\n")
        return self._running

    def forget(self) -> None:
        """Expect nothing of the last command any more."""
        self._running = None
        self._muted = False

    def take(self, data: bytes) -> None:
        """Take what comes out of the terminal."""
        for piece in self._reports.feed(data):
            if isinstance(piece, Report):
                self._heard(piece)
            elif not self._muted or not self.ready.is_set():
                self._output.add(piece)
                self._screen.add(piece)
        if self._screen.behind and self._rendering is None and time.monotonic() - self._rendered_at > RENDER_EVERY_S:
            self._rendering = asyncio.ensure_future(asyncio.to_thread(self._screen.lines, self._screen.take()))
            self._rendering.add_done_callback(self._rendered)
        self.changed.set()

    def close(self) -> None:
        """The terminal is closed: what waited for the rest of a report is output, and no command goes on."""
        self._output.add(self._reports.flush())
        if self._running is not None:
            self._running.finished.set()

    def text_of(self, running: Running) -> tuple[str, int]:
        """Return what a finished command printed, and how many bytes of it are missing."""
        return _text(running.output)

    def new_text(self) -> tuple[str, int]:
        """Return what is new, and how many bytes of it are missing; it is not new any more then."""
        parts = self._output.parts()
        self._output.clear()
        return _text(parts)

    async def screen_lines(self) -> list[str] | None:
        """Return what a full-screen program shows, None where there is none."""
        if not self._screen.full_screen:
            return None
        return await asyncio.to_thread(self._screen.lines, self._screen.take())

    def _rendered(self, _: object) -> None:
        self._rendering = None
        self._rendered_at = time.monotonic()

    def _heard(self, report: Report) -> None:
        running = self._running
        mine = running if running is not None and not running.finished.is_set() else None
        if report.kind == "P":
            if not self.ready.is_set():
                self._output.clear()
            self.ready.set()
            if mine is not None and mine.started.is_set():
                self._finish(mine, report.status if mine.status is None else mine.status)
            if mine is None or mine.started.is_set():
                self._muted = False
        elif mine is None or report.number != mine.number:
            return
        elif report.kind == "S":
            self._output.clear()
            self._muted = False
            mine.since = time.monotonic()
            mine.started.set()
        else:
            self._muted = True
            mine.status = report.status
            asyncio.get_running_loop().call_later(WITHOUT_PROMPT_S, self._finish, mine, report.status)

    def _finish(self, running: Running, status: int) -> None:
        if running.finished.is_set():
            return
        running.status = status
        running.duration_s = round(time.monotonic() - running.since, 3)
        running.output = self._output.parts()
        self._output.clear()
        self._screen.restore()
        self._muted = False
        running.finished.set()
        self.changed.set()


def _text(parts: tuple[bytes, int, bytes]) -> tuple[str, int]:
    head, cut, tail = parts
    first, last = decoded(head, cut, tail)
    return joined(plain_text(first), cut, plain_text(last)), cut
