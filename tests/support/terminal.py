"""A program in a pseudo terminal, and the screen that its user would see."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

_SEQUENCE = re.compile(r"\x1b(?:\[([0-9;?]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Za-z0-9]|[=>78])")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-9;?]*|\][^\x07\x1b]*|[()])?$")


class Screen:
    """As much of a VT100 as line editors use: text, cursor movement, erasing, scrolling; colours are dropped."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.scrolled: list[str] = []
        self._cells = [[" "] * columns for _ in range(rows)]
        self._row = self._column = 0
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        """Everything that was said, scrolled lines first, without padding and without blank lines at the end."""
        lines = self.scrolled + ["".join(cells).rstrip() for cells in self._cells]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def cursor_line(self) -> str:
        """The line in which the cursor stands."""
        return "".join(self._cells[self._row]).rstrip()

    def feed(self, text: str) -> None:
        """Draw what a program wrote."""
        text, self._rest = self._rest + text, ""
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                self._put(text[at])
                at += 1
            elif match := _SEQUENCE.match(text, at):
                if match[2]:
                    self._control(match[1], match[2])
                at = match.end()
            elif _UNFINISHED.match(text, at):
                self._rest = text[at:]
                return
            else:
                at += 1

    def _put(self, character: str) -> None:
        if character == "\n":
            self._line_feed()
        elif character == "\r":
            self._column = 0
        elif character == "\b":
            self._column = max(0, self._column - 1)
        elif character >= " ":
            if self._column >= self.columns:
                self._column = 0
                self._line_feed()
            self._cells[self._row][self._column] = character
            self._column += 1

    def _line_feed(self) -> None:
        if self._row < self.rows - 1:
            self._row += 1
            return
        self.scrolled.append("".join(self._cells.pop(0)).rstrip())
        self._cells.append([" "] * self.columns)

    def _control(self, arguments: str, command: str) -> None:
        if arguments.startswith("?"):
            return
        numbers = [int(number) if number else 0 for number in arguments.split(";")]
        count = max(1, numbers[0])
        if command == "A":
            self._row = max(0, self._row - count)
        elif command == "B":
            self._row = min(self.rows - 1, self._row + count)
        elif command == "C":
            self._column = min(self.columns - 1, self._column + count)
        elif command == "D":
            self._column = max(0, self._column - count)
        elif command == "G":
            self._column = min(self.columns, count) - 1
        elif command == "H":
            self._row = min(self.rows, count) - 1
            self._column = min(self.columns, max(1, numbers[1] if len(numbers) > 1 else 1)) - 1
        elif command == "K" and numbers[0] == 0:
            self._erase(self._row, self._column)
        elif command == "J":
            self._erase(self._row, self._column if numbers[0] == 0 else 0)
            for row in range(self._row + 1 if numbers[0] == 0 else 0, self.rows):
                self._erase(row, 0)

    def _erase(self, row: int, column: int) -> None:
        for at in range(column, self.columns):
            self._cells[row][at] = " "


class Terminal:
    """Runs a program in a pseudo terminal of its own: `with Terminal([...]) as terminal: terminal.type("hello")`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        rows: int = 24,
        columns: int = 80,
        timeout_s: float = 10.0,
    ) -> None:
        self._command = list(command)
        self._environment = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
        self._timeout_s = timeout_s
        self._size = struct.pack("HHHH", rows, columns, 0, 0)
        self.screen = Screen(rows, columns)
        self.raw = b""
        """Every byte that the program wrote."""

    def __enter__(self) -> Terminal:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, self._size)
        self.process = subprocess.Popen(
            self._command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self._environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, keys: str) -> None:
        """Press keys: text, or control characters such as "\\x03"."""
        os.write(self._master, keys.encode())

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self.process.send_signal(number)

    def until(self, condition: Callable[[Screen], bool], what: str) -> None:
        """Read until `condition` holds for the screen; fails with the screen after `timeout_s` seconds."""
        deadline = time.monotonic() + self._timeout_s
        while not condition(self.screen):
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                seen = "\n".join(self.screen.lines)
                raise AssertionError(f"{what} did not come. The screen:\n{seen}\nThe last bytes: {self.raw[-400:]!r}")

    def until_line(self, line: str) -> None:
        """Read until a line of the screen is exactly `line`."""
        self.until(lambda screen: line in screen.lines, repr(line))

    def until_typing(self, line: str) -> None:
        """Read until the cursor's line is `line`."""
        self.until(lambda screen: screen.cursor_line == line, f"the cursor in {line!r}")

    def pause(self) -> None:
        """Read what comes within a thousandth of a second, as between two keys of a very fast typist."""
        self._read(0.001)

    def wait(self) -> int:
        """Read until the program has ended; return its exit status."""
        deadline = time.monotonic() + self._timeout_s
        while self._read(max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, f"it goes on: {self.screen.lines}"
        return self.process.wait(timeout=self._timeout_s)

    def _read(self, timeout_s: float) -> bool:
        """Read once; returns False at the end or when nothing came in time."""
        if not select.select([self._master], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says EIO when the last program in the terminal has ended
            return False
        self.raw += data
        self.screen.feed(data.decode("utf-8", "replace"))
        return bool(data)
