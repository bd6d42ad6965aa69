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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.contracts.errors import ActionFailed
from plugins.terminal.keys import key_bytes
from plugins.terminal.one_shot import ended, killed
from plugins.terminal.process_tree import descendants
from plugins.terminal.pty_process import PtyProcess
from plugins.terminal.sandbox import Command, Limits, Sandbox
from plugins.terminal.screen import Screen
from plugins.terminal.shell_reports import rc_file, trigger
from plugins.terminal.shell_watch import ShellWatch

READY_S = 10.0
START_S = 5.0
STEP_S = 1.0
"""How long each step of an interruption may take to work."""
QUIET_S = 0.1
WRITE_S = 5.0
CLOSE_S = 2.0
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
        self._watch = ShellWatch(secret=self._secret, output_bytes=output_bytes, screen=screen)
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
        self._pty = await PtyProcess.start(argv, environment, self._watch.take, rows=size[0], columns=size[1])
        if not await _set_within(self._watch.ready, READY_S, self._pty.ended):
            said = self._watch.new_text()[0].strip().splitlines()
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
        return self._watch.busy or self._pty.foreground != self._shell_group

    async def run(self, command: str, *, timeout_s: float, keep: bool, cwd: str = "") -> Shown:
        """Run a command in the shell; raises ActionFailed when the shell does not take it.

        At the time-out it is interrupted, or left running with `keep`. cwd: a directory to change to before.
        """
        if self._shell_group == -1:
            await _set_within(self._pty.ended, CLOSE_S, self._pty.ended)
            raise self._not_run()
        if self._busy:
            raise ActionFailed(
                f"Something still runs in the session {self.name}.",
                cure="Use terminal_read, terminal_input (ctrl-c ends most programs) or terminal_close.",
            )
        file = self._control / str(self._watch.next_number)
        change = f"builtin cd -- {shlex.quote(cwd)} || return\n" if cwd else ""
        file.write_text(f"{change}{command}\n", encoding="utf-8", errors="surrogateescape")
        running = self._watch.begin(command)
        try:
            await self._pty.write(CTRL_U + trigger(self._control_path, running.number), WRITE_S)
            if not await _set_within(running.started, START_S, self._pty.ended):
                if not self.alive:
                    raise self._not_run()
                await self._pty.write(CTRL_C, WRITE_S)
                self._watch.forget()
                raise ActionFailed(
                    f"The shell of the session {self.name} does not take commands.",
                    cure="Close it with terminal_close.",
                )
            if await _set_within(running.finished, timeout_s, self._pty.ended) or not self.alive:
                return await self._shown("done")
            return await self._shown("running") if keep else await self.interrupt()
        finally:
            file.unlink(missing_ok=True)

    def _not_run(self) -> ActionFailed:
        return ActionFailed(
            f"The shell of the session {self.name} had ended; the command was not run.",
            cure="A command with that session opens it anew.",
        )

    async def interrupt(self) -> Shown:
        """End what runs in the foreground, by ctrl-c or worse; when the shell itself does not let go, close it."""
        running = self._watch.running
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

    async def send(self, text: str, keys: Sequence[str]) -> None:
        """Type a text, then keys; raises ActionFailed when what runs there does not take it."""
        application = self._watch.application_keys
        data = text.encode("utf-8", "replace")
        data += b"".join(key_bytes(key, application=application) or b"" for key in keys)
        if not await self._pty.write(data, WRITE_S):
            raise ActionFailed(f"What runs in the session {self.name} does not take more input.")

    async def read(self, wait_s: float) -> Shown:
        """Wait for output, or for the end of the command, and return what is new."""
        deadline = time.monotonic() + wait_s
        while self.alive and not self._watch.has_news and (left := deadline - time.monotonic()) > 0:
            self._watch.changed.clear()
            await _set_within(self._watch.changed, left, self._pty.ended)
        while self.alive and (left := min(QUIET_S, deadline - time.monotonic())) > 0:
            self._watch.changed.clear()
            if not await _set_within(self._watch.changed, left, self._pty.ended):
                break
        running = self._watch.running
        return await self._shown("done" if running is not None and running.finished.is_set() else self.state)

    async def close(self) -> None:
        """End the shell and all that was started in it."""
        # Before the terminal is closed: a hang-up would end the keeper first, and the rest some time later.
        try:
            await killed(self._pty.process, self._keepers)
        finally:
            self._pty.close()
        shutil.rmtree(self._control, ignore_errors=True)
        self._watch.close()

    async def _shown(self, state: str) -> Shown:
        """Collect what is new, and forget it."""
        running = self._watch.running
        if running is not None and running.finished.is_set() and self.alive:
            self._watch.forget()
            text, cut = self._watch.text_of(running)
            return Shown(
                state=state, output=text, cut_bytes=cut, exit_code=running.status, duration_s=running.duration_s
            )
        exit_code = None
        if not self.alive:
            state = "closed"
            self._watch.close()
            await ended(self._pty.process, CLOSE_S)
            exit_code = self._pty.process.returncode
            self._watch.forget()
        text, cut = self._watch.new_text()
        screen = await self._watch.screen_lines() if self.alive else None
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
