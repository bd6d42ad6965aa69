"""Hears, through Python's audit events, what a component's own code does that blocks or that lasts."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, SupportsIndex

_ASYNCIO = str(Path(asyncio.__file__).parent)
_CORE = str(Path(__file__).resolve().parents[1])
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC

BLOCKING = {
    "time.sleep": "time.sleep",
    "socket.connect": "a socket that connects",
    "socket.getaddrinfo": "the look-up of a host name",
    "socket.gethostbyname": "the look-up of a host name",
    "subprocess.Popen": "the start of a program",
    "os.system": "os.system",
    "os.posix_spawn": "the start of a program",
    "sqlite3.connect": "sqlite3.connect",
    "open": "open",
}
"""Events of what keeps a loop waiting, and how it is called in a sentence."""

_EFFECTS = BLOCKING | {
    "socket.__new__": "a socket",
    "socket.bind": "a socket that listens",
    "os.fork": "os.fork",
    "os.mkdir": "os.mkdir",
    "os.remove": "os.remove",
    "os.rename": "os.rename",
    "os.putenv": "a change of the environment",
    "_thread.start_new_thread": "the start of a thread",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Something that the component's code has done. phase: while what ran. writes: it opened a file for writing."""

    event: str
    what: str
    phase: str
    where: str
    on_loop: bool
    path: str = ""
    writes: bool = False


class CallWatch:
    """Records the calls that come from a component's own files, and not by way of asyncio, core or an import.

    An audit hook cannot be taken away again: this is for a process that does nothing else.
    """

    def __init__(self, is_own: Callable[[str], bool], root: Path) -> None:
        """is_own: tells whether a file belongs to the component. root: what places are told relative to."""
        self._is_own = is_own
        self._root = root
        self._heard = threading.local()
        self.loop_thread: int | None = None
        self.phase = ""
        self.calls: list[Call] = []

    def listen(self) -> None:
        """Begin, for as long as the process lives."""
        sys.addaudithook(self._hear)
        sleep = time.sleep

        def heard_sleep(seconds: float | SupportsIndex, /) -> None:
            self._heed("time.sleep", (seconds,), sys._getframe(1))
            sleep(seconds)

        time.sleep = heard_sleep  # Python itself does not tell of it before 3.13

    def during(self, phase: str) -> list[Call]:
        """Return what was heard in a phase."""
        return [call for call in self.calls if call.phase == phase]

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _EFFECTS and self.phase:
            self._heed(event, args, sys._getframe(1))

    def _heed(self, event: str, args: tuple[Any, ...], frame: FrameType) -> None:
        if not self.phase or getattr(self._heard, "busy", False):
            return
        self._heard.busy = True
        try:
            where = self._blamed(frame)
            if where:
                self._note(event, args, where)
        finally:
            self._heard.busy = False

    def _note(self, event: str, args: tuple[Any, ...], where: str) -> None:
        path, writes = "", False
        if event == "open":
            path = os.path.abspath(args[0]) if isinstance(args[0], str) else ""
            mode, flags = args[1], args[2]
            writes = bool(set(mode or "") & set("wax+")) if mode else bool((flags or 0) & _WRITING)
        call = Call(
            event=event,
            what=f"open({path!r})" if path else _EFFECTS[event],
            phase=self.phase,
            where=where,
            on_loop=threading.get_ident() == self.loop_thread,
            path=path,
            writes=writes,
        )
        if call not in self.calls:
            self.calls.append(call)

    def _blamed(self, frame: FrameType | None) -> str:
        """Return the line of the component that did it, or "" where something else stands between."""
        while frame is not None:
            name = frame.f_code.co_filename
            if self._is_own(name):
                path = Path(name)
                shown = path.relative_to(self._root) if path.is_relative_to(self._root) else path.name
                return f"{shown}:{frame.f_lineno}"
            if name.startswith(("<frozen importlib", _ASYNCIO, _CORE)):
                return ""
            frame = frame.f_back
        return ""
