"""Sidecars: servers that plugins bring, started, watched, started again and stopped by the host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.contracts.errors import RekkuError
from core.services.foreign import Raised
from core.services.process_guard import guarded
from core.services.sync_or_async import invoke

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

PATIENCE_S = 5.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
WELL_AFTER_S = 60.0
READY_EVERY_S = 0.1
LOOK_EVERY_S = 0.2
MOST_SIDECARS = 10
MOST_LINE_BYTES = 2000
LINES_A_SECOND = 20
LAST_LINES = 5
LAST_WORDS_S = 1.0
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""What of Rekku's environment a sidecar sees; its secrets are not among it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a sidecar is started."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None


class RunningSidecar:
    """A `Sidecar`."""

    def __init__(self, name: str, launch: Launch, log: FilteringBoundLogger) -> None:
        self.name = name
        self.restarts = 0
        self._launch = launch
        self._log = log
        self._process: Process | None = None
        self._line: socket.socket | None = None
        self._pid = 0
        self._life: asyncio.Task[None] | None = None
        self._printing: asyncio.Task[None] | None = None
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._end_told = ""
        self._stopped = False
        self._changing = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return None if self._process is None or self._process.returncode is not None else self._pid or None

    async def start(self) -> None:
        """Start it and keep it going; raises RekkuError when it cannot be started, or has been stopped meanwhile."""
        async with self._changing:
            if not self._stopped:
                await self._begin()
                self._life = asyncio.get_running_loop().create_task(self._keep(), name=f"sidecar {self.name}")

    async def until_ready(self, ready: Callable[[], bool | Awaitable[bool]], timeout_s: float) -> None:
        """Wait until `ready()` says so; one that raises means not yet.

        Raises RekkuError when it does not in time, the program ends first, or it is stopped.
        """
        why = ""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._stopped:
                    try:
                        if await invoke(ready):
                            return
                        why = ""
                    except Exception as error:  # noqa: BLE001 - foreign code: what it asks does not answer yet
                        why = Raised(error).sentence
                    if self._end_told:
                        raise RekkuError(f"The sidecar {self.name} ended before it was ready: {self._end_told}")
                    await asyncio.sleep(READY_EVERY_S)
        except TimeoutError:
            told = f"The sidecar {self.name} was not ready within {timeout_s:g} s."
            raise RekkuError(f"{told} At last: {why}" if why else told) from None
        raise RekkuError(f"The sidecar {self.name} was stopped before it was ready.")

    async def stop(self) -> None:
        """End it and all that it has started; one that is just being started, as soon as it is."""
        self._stopped = True
        async with self._changing:
            if self._life is not None:
                self._life.cancel()
                await asyncio.wait({self._life})
                self._life = None
            if self._process is not None:
                await self._end(self._process)
                self._process = None

    async def _begin(self) -> None:
        program = shutil.which(self._launch.argv[0])
        if program is None:
            raise RekkuError(f"The sidecar {self.name} cannot be started: there is no {self._launch.argv[0]}.")
        inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._pid = 0
        self._line, line = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *guarded((program, *self._launch.argv[1:]), line.fileno()),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                env={**inherited, **self._launch.env},
                cwd=self._launch.cwd,
                start_new_session=True,
                pass_fds=(line.fileno(),) if sys.platform == "linux" else (),
                limit=64 * 1024,
            )
        except OSError as error:
            raise RekkuError(f"The sidecar {self.name} cannot be started: {error.strerror}.") from error
        finally:
            line.close()
        self._pid = await self._pid_told(self._line) or self._process.pid
        self._last_lines.clear()
        self._printing = asyncio.get_running_loop().create_task(
            self._printed(self._process), name=f"output of {self.name}"
        )

    @staticmethod
    async def _pid_told(line: socket.socket) -> int:
        """Return the program's process id, as its guard says it; 0 where there is none, or it is gone."""
        line.setblocking(False)
        try:
            async with asyncio.timeout(PATIENCE_S):
                said = await asyncio.get_running_loop().sock_recv(line, 32)
        except (OSError, TimeoutError):
            return 0
        return int(said.split()[0]) if said else 0

    async def _keep(self) -> None:
        """Watch it, and start it again when it ends."""
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while True:
            process, began_s = self._process, loop.time()
            assert process is not None
            # Not `wait()`: what it has started may hold its output open when it is gone.
            while process.returncode is None:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(LOOK_EVERY_S)
            await self._end(process)  # what it has left behind
            self._process = None  # its number may be somebody else's from here on
            how, last_lines = _how(process.returncode), list(self._last_lines)
            self._log.warning("a sidecar ended", sidecar=self.name, how=how, last_lines=last_lines)
            self._end_told = " | ".join((f"{how}.", *last_lines))
            if loop.time() - began_s >= WELL_AFTER_S:
                pause_s = FIRST_PAUSE_S
            while True:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                self.restarts += 1
                try:
                    await self._begin()
                except RekkuError as error:
                    self._log.error("a sidecar cannot be started", sidecar=self.name, error=str(error))
                else:
                    break

    async def _printed(self, process: Process) -> None:
        assert process.stdout is not None
        loop = asyncio.get_running_loop()
        second, lines = loop.time(), 0
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue  # a line that is longer than the buffer: its next piece
            if not line:
                return
            if loop.time() - second >= 1.0:
                second, lines = loop.time(), 0
            lines += 1
            text = line[:MOST_LINE_BYTES].decode("utf-8", "replace").rstrip()
            if text:
                self._last_lines.append(text)
            if lines <= LINES_A_SECOND:
                self._log.info("printed", sidecar=self.name, text=text)

    async def _end(self, process: Process) -> None:
        """End it and all that it has started: politely, then not; and take in what it has still printed."""
        try:
            self._signal(process, signal.SIGTERM)
            await _ended(process, PATIENCE_S)
        finally:
            # Also when we are cancelled: nothing of it is to outlive its plugin. Its guard sees to that.
            if self._line is not None:
                self._line.close()
            if sys.platform != "linux":
                self._signal(process, signal.SIGKILL)
            if (printing := self._printing) is not None:
                try:
                    await _ended(process, PATIENCE_S)
                    await asyncio.wait({printing}, timeout=LAST_WORDS_S)
                finally:
                    printing.cancel()

    def _signal(self, process: Process, number: signal.Signals) -> None:
        gone = sys.platform == "linux" and process.returncode is not None
        if gone or not self._pid:
            return  # its guard has ended the rest, and its number may be somebody else's; 0 would be ourselves
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)


def check_argv(argv: Sequence[str]) -> None:
    """Raise ValueError for what is no command."""
    if isinstance(argv, str) or not argv or not all(isinstance(word, str) for word in argv):
        raise ValueError('argv is the program and its arguments, as ["server", "--port", "8080"]')


async def _ended(process: Process, within_s: float) -> None:
    """Wait for the end of a process; not by `wait()`, since what it has started may hold its output open."""
    for _ in range(int(within_s / LOOK_EVERY_S)):
        if process.returncode is not None:
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _how(status: int | None) -> str:
    """Return how a program ended."""
    if status is None or status >= 0:
        return f"exit status {status}"
    known = {number.value for number in signal.Signals}
    return f"signal {signal.Signals(-status).name if -status in known else -status}"


class SidecarsOfPlugin:
    """All sidecars of one plugin."""

    def __init__(self, plugin: str, log: FilteringBoundLogger) -> None:
        self._plugin = plugin
        self._log = log
        self._sidecars: list[RunningSidecar] = []
        self._closed = False

    async def start(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], bool | Awaitable[bool]] | None = None,
        ready_timeout_s: float = 30.0,
    ) -> RunningSidecar:
        """Start a program and keep it going; see `core.contracts.services.PluginContext.sidecar`."""
        self._may_begin()
        check_argv(argv)
        if len(self._sidecars) >= MOST_SIDECARS:
            raise RekkuError(f"{self._plugin} has {MOST_SIDECARS} sidecars, which is the most.")
        sidecar = RunningSidecar(name, Launch(argv=tuple(argv), env=dict(env or {}), cwd=cwd), self._log)
        self._sidecars.append(sidecar)  # already now: it may be closed while the program starts
        try:
            await sidecar.start()
            if ready is not None:
                await sidecar.until_ready(ready, ready_timeout_s)
            self._may_begin()
        except BaseException:
            await sidecar.stop()
            if sidecar in self._sidecars:
                self._sidecars.remove(sidecar)
            raise
        return sidecar

    def _may_begin(self) -> None:
        if self._closed:
            raise RekkuError(f"{self._plugin} has been stopped: nothing more is begun for it.")

    async def close(self) -> None:
        """End all of them."""
        self._closed = True
        await asyncio.gather(*(sidecar.stop() for sidecar in self._sidecars))
        self._sidecars.clear()
