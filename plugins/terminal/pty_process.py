"""A process in a pseudo-terminal of its own, read without ever holding up the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
from collections.abc import Callable, Mapping, Sequence

PIECE_BYTES = 65_536
BYTES_WITHOUT_PAUSE = 128 * 1024
PAUSE_S = 0.02
"""A flood is read at 6 MB/s; the terminal makes its writer wait, as any terminal does."""
WRITE_STEP_S = 0.01


class PtyProcess:
    """A process and the master side of its terminal. `on_output` is called with what it writes."""

    def __init__(self, process: asyncio.subprocess.Process, master: int, on_output: Callable[[bytes], None]) -> None:
        self.process = process
        self._master = master
        self._on_output = on_output
        self._loop = asyncio.get_running_loop()
        self._read_since_pause = 0
        self._resume: asyncio.TimerHandle | None = None
        self.ended = asyncio.Event()
        """Set when the terminal is closed on the other side and all output was read."""
        self._loop.add_reader(master, self._readable)

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        environment: Mapping[str, str],
        on_output: Callable[[bytes], None],
        *,
        rows: int,
        columns: int,
    ) -> PtyProcess:
        """Start a process; raises OSError. Its wrapper takes the terminal as the controlling one."""
        master, slave = pty.openpty()
        try:
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.set_blocking(master, False)
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=dict(environment),
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        return cls(process, master, on_output)

    @property
    def foreground(self) -> int:
        """The group of processes that has the terminal now; 0 when it is closed."""
        try:
            return os.tcgetpgrp(self._master)
        except OSError:
            return 0

    async def write(self, data: bytes, within_s: float) -> bool:
        """Type; return whether all of it was taken within that time."""
        deadline = self._loop.time() + within_s
        while data:
            try:
                data = data[os.write(self._master, data[:1024]) :]
            except BlockingIOError:
                if self._loop.time() > deadline:
                    return False
                await asyncio.sleep(WRITE_STEP_S)
            except OSError:
                return False
        return True

    def close(self) -> None:
        """Close the terminal; the process gets a hang-up, if it is still there."""
        if self._master < 0:
            return
        if self._resume is not None:
            self._resume.cancel()
        self._loop.remove_reader(self._master)
        with contextlib.suppress(OSError):
            os.close(self._master)
        self._master = -1
        self.ended.set()

    def _readable(self) -> None:
        try:
            data = os.read(self._master, PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # Linux says EIO once nobody has the other side open
        if not data:
            self._loop.remove_reader(self._master)
            self.ended.set()
            return
        self._read_since_pause += len(data)
        if self._read_since_pause >= BYTES_WITHOUT_PAUSE:
            self._loop.remove_reader(self._master)
            self._resume = self._loop.call_later(PAUSE_S, self._go_on)
        self._on_output(data)

    def _go_on(self) -> None:
        self._read_since_pause = 0
        self._resume = None
        if self._master >= 0:
            self._loop.add_reader(self._master, self._readable)
