"""One shell that stays: commands are run in it, keys are sent to what runs in it, and its output is read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shlex
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.contracts.errors import ActionFailed
from plugins.terminal.bounded_output import BoundedOutput, decoded, joined
from plugins.terminal.one_shot import ended, killed
from plugins.terminal.plain_text import plain_text
from plugins.terminal.process_tree import descendants
from plugins.terminal.pty_process import PtyProcess
from plugins.terminal.sandbox import Command, Limits, Sandbox
from plugins.terminal.screen import Screen
from plugins.terminal.shell_reports import Report, ReportReader, rc_file, trigger

READY_S = 10.0
START_S = 5.0
STEP_S = 1.0
"""How long each step of an interruption may take to work."""
WITHOUT_PROMPT_S = 0.5
"""How long after the end of a command its prompt is waited for."""
QUIET_S = 0.1
WRITE_S = 5.0
CLOSE_S = 2.0
RENDER_EVERY_S = 1.0
ROUNDS = 2

CTRL_C = b"\x03"
CTRL_U = b"\x15"
INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a session has to say after an action.

    state: "done", "interrupted", "running", "idle" (at its prompt) or "closed". exit_code: of the command, or of the
    shell when it closed. output: what is new. screen: the lines of a full-screen program.
    """

    state: str
    output: str
    exit_code: int | None = None
    cut_bytes: int = 0
    duration_s: float | None = None
    screen: list[str] | None = None
    waits: bool = False


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


class Session:
    """A bash in a pseudo-terminal. One action at a time holds its `lock`."""

    def __init__(
        self,
        *,
        name: str,
        owner: str,
        control: Path,
        control_path: str,
        keepers: int,
        output_bytes: int,
        screen: Screen,
    ) -> None:
        self.name, self.owner = name, owner
        self.lock = asyncio.Lock()
        self.last_used = 0.0
        self._control, self._control_path = control, control_path
        self._keepers = keepers
        self._secret = secrets.token_hex(12)
        self._reports = ReportReader(self._secret)
        self._output = BoundedOutput(output_bytes)
        self._screen = screen
        self._rendering: asyncio.Task[list[str]] | None = None
        self._rendered_at = 0.0
        self._muted = True
        self._ready = asyncio.Event()
        self._changed = asyncio.Event()
        self._running: Running | None = None
        self._number = 0
        self._shell_pid = 0
        self._pty: PtyProcess

    async def start(
        self,
        shell: str,
        sandbox: Sandbox,
        limits: Limits,
        environment: Mapping[str, str],
        cwd: Path,
        size: tuple[int, int],
    ) -> None:
        """Start the shell; raises ActionFailed when it does not come up."""
        (self._control / "rc").write_text(rc_file(self._secret))
        command = Command(
            argv=[shell, "--noprofile", "--rcfile", f"{self._control_path}/rc", "-i"],
            cwd=cwd,
            terminal=True,
            control=self._control,
        )
        argv = sandbox.argv(command, limits)
        self._pty = await PtyProcess.start(argv, environment, self._take, rows=size[0], columns=size[1])
        if not await _set_within(self._ready, READY_S, self._pty.ended):
            said = self._text(self._output.parts())[0].strip().splitlines()
            await self.close()
            raise ActionFailed(f"The shell of the session did not come up: {said[-1] if said else 'no answer'}.")

        # The first below its keepers is the shell, which has started nothing yet.
        below = await asyncio.to_thread(descendants, self._pty.process.pid, below=self._keepers - 1)
        self._shell_pid = below[0] if below else 0

    @property
    def alive(self) -> bool:
        """Whether the shell is there."""
        return not self._pty.ended.is_set()

    @property
    def state(self) -> str:
        """ "closed", "running" or "idle"."""
        if not self.alive:
            return "closed"
        return "running" if self._busy else "idle"

    @property
    def _shell_group(self) -> int:
        """The shell's group of processes, which it may change; -1 when it is gone."""
        try:
            return os.getpgid(self._shell_pid) if self._shell_pid else -1
        except ProcessLookupError:
            return -1

    @property
    def _busy(self) -> bool:
        if self._running is not None and not self._running.finished.is_set():
            return True
        return self._pty.foreground != self._shell_group

    async def run(self, command: str, *, timeout_s: float, keep: bool, cwd: str = "") -> Shown:
        """Run a command in the shell; raises ActionFailed when the shell does not take it.

        At the time-out it is interrupted, or left running with `keep`. cwd: a directory to change to before.
        """
        if self._busy:
            raise ActionFailed(
                f"Something still runs in the session {self.name}.",
                cure="Use terminal_read, terminal_input (ctrl-c ends most programs) or terminal_close.",
            )
        self._number += 1
        running = self._running = Running(self._number)
        file = self._control / str(running.number)
        change = f"builtin cd -- {shlex.quote(cwd)} || return\n" if cwd else ""
        file.write_text(f"{change}{command}\n", encoding="utf-8", errors="surrogateescape")
        self._muted = True
        # What is typed to have it run is no sight for anybody; the command is.
        self._screen.add(command.replace("\n", "\r\n").encode("utf-8", "replace") + b"\r\n")
        try:
            await self._pty.write(CTRL_U + trigger(self._control_path, running.number), WRITE_S)
            if not await _set_within(running.started, START_S, self._pty.ended) and self.alive:
                await self._pty.write(CTRL_C, WRITE_S)
                self._running, self._muted = None, False
                raise ActionFailed(
                    f"The shell of the session {self.name} does not take commands.",
                    cure="Close it with terminal_close.",
                )
            if await _set_within(running.finished, timeout_s, self._pty.ended) or not self.alive:
                return await self._shown("done")
            return await self._shown("running") if keep else await self.interrupt()
        finally:
            file.unlink(missing_ok=True)

    async def interrupt(self) -> Shown:
        """End what runs in the foreground, by ctrl-c or worse; when the shell itself does not let go, close it."""
        running = self._running
        if running is None or running.finished.is_set():
            return await self._shown("idle")
        for _ in range(ROUNDS):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                group = self._pty.foreground
                if number is not signal.SIGINT:
                    if group in (0, self._shell_group):
                        break
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(group, number)
                await self._pty.write(CTRL_C, STEP_S)
                if await _set_within(running.finished, STEP_S, self._pty.ended):
                    return await self._shown("interrupted")
            if self._pty.foreground == self._shell_group:
                # The shell is there but has lost the way to say so.
                say = f" {{ __rekku_done {running.number} {INTERRUPTED}; }} 2>/dev/null\n".encode()
                await self._pty.write(CTRL_U + say, STEP_S)
                if await _set_within(running.finished, STEP_S, self._pty.ended):
                    return await self._shown("interrupted")
        shown = await self._shown("interrupted")
        await self.close()
        return Shown(state="closed", output=shown.output, cut_bytes=shown.cut_bytes, duration_s=shown.duration_s)

    async def send(self, data: bytes) -> None:
        """Type; raises ActionFailed when what runs there does not take it."""
        if not await self._pty.write(data, WRITE_S):
            raise ActionFailed(f"What runs in the session {self.name} does not take more input.")

    async def read(self, wait_s: float) -> Shown:
        """Wait for output, or for the end of the command, and return what is new."""
        deadline = time.monotonic() + wait_s
        while self.alive and not self._has_news and (left := deadline - time.monotonic()) > 0:
            self._changed.clear()
            await _set_within(self._changed, left, self._pty.ended)
        while self.alive and (left := min(QUIET_S, deadline - time.monotonic())) > 0:
            self._changed.clear()
            if not await _set_within(self._changed, left, self._pty.ended):
                break
        running = self._running
        return await self._shown("done" if running is not None and running.finished.is_set() else self.state)

    async def close(self) -> None:
        """End the shell and all that was started in it."""
        # Before the terminal is closed: a hang-up would end the keeper first, and the rest some time later.
        try:
            await killed(self._pty.process, self._keepers)
        finally:
            self._pty.close()
        shutil.rmtree(self._control, ignore_errors=True)
        if self._running is not None:
            self._running.finished.set()

    @property
    def _has_news(self) -> bool:
        return self._output.total > 0 or (self._running is not None and self._running.finished.is_set())

    def _take(self, data: bytes) -> None:
        """Called with what comes out of the terminal."""
        for piece in self._reports.feed(data):
            if isinstance(piece, Report):
                self._heard(piece)
            elif not self._muted or not self._ready.is_set():
                self._output.add(piece)
                self._screen.add(piece)
        if self._screen.behind and self._rendering is None and time.monotonic() - self._rendered_at > RENDER_EVERY_S:
            self._rendering = asyncio.ensure_future(asyncio.to_thread(self._screen.lines, self._screen.take()))
            self._rendering.add_done_callback(self._rendered)
        self._changed.set()

    def _rendered(self, _: object) -> None:
        self._rendering = None
        self._rendered_at = time.monotonic()

    def _heard(self, report: Report) -> None:
        running = self._running
        mine = running if running is not None and not running.finished.is_set() else None
        if report.kind == "P":
            if not self._ready.is_set():
                self._output.clear()
            self._ready.set()
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
        self._screen.full_screen = False
        self._muted = False
        running.finished.set()
        self._changed.set()

    async def _shown(self, state: str) -> Shown:
        """Collect what is new, and forget it."""
        running = self._running
        if running is not None and running.finished.is_set() and self.alive:
            self._running = None
            text, cut = self._text(running.output)
            return Shown(
                state=state, output=text, cut_bytes=cut, exit_code=running.status, duration_s=running.duration_s
            )
        exit_code = None
        if not self.alive:
            state = "closed"
            self._output.add(self._reports.flush())
            await ended(self._pty.process, CLOSE_S)
            exit_code = self._pty.process.returncode
            self._running = None
        parts = self._output.parts()
        self._output.clear()
        text, cut = self._text(parts)
        screen = None
        if self._screen.full_screen and self.alive:
            screen = await asyncio.to_thread(self._screen.lines, self._screen.take())
        waits = state == "running" and screen is None and bool(text) and not text.endswith("\n")
        since = None if running is None else round(time.monotonic() - running.since, 3)
        return Shown(
            state=state,
            output=text,
            cut_bytes=cut,
            exit_code=exit_code,
            duration_s=since,
            screen=screen,
            waits=waits,
        )

    def _text(self, parts: tuple[bytes, int, bytes]) -> tuple[str, int]:
        head, cut, tail = parts
        first, last = decoded(head, cut, tail)
        return joined(plain_text(first), cut, plain_text(last)), cut


async def _set_within(event: asyncio.Event, seconds: float, or_else: asyncio.Event) -> bool:
    """Wait for `event` until the time is over or `or_else` is set; return whether `event` is set."""
    if event.is_set():
        return True
    waiting = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(or_else.wait())]
    try:
        await asyncio.wait(waiting, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    return event.is_set()
