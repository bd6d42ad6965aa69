"""One command without a terminal, from start to end: bounded in time and output, nothing of it left behind."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plugins.terminal.bounded_output import BoundedOutput, Kept, kept
from plugins.terminal.process_tree import descendants, send_signal

INTERRUPT_GRACE_S = 1.0
TERMINATE_GRACE_S = 1.0
DRAIN_S = 2.0
PIECE_BYTES = 65_536
PIECES_WITHOUT_PAUSE = 16
PAUSE_S = 0.005
"""A flood of output is read with pauses, so that the event loop has time for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What became of a command; `exit_code` is 128 + the signal where one ended it."""

    exit_code: int
    stdout: Kept
    stderr: Kept
    duration_s: float
    timed_out: bool


async def run_once(
    argv: Sequence[str], environment: Mapping[str, str], *, keepers: int, timeout_s: float, output_bytes: int
) -> Finished:
    """Run a command; raises OSError when it cannot be started.

    At the time-out it is interrupted, terminated and killed, each with a second between. keepers: see `Sandbox`.
    timeout_s: seconds. output_bytes: how much of each stream is kept. A cancellation kills it at once.
    """
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        cwd="/",
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    stdout, stderr = BoundedOutput(output_bytes), BoundedOutput(output_bytes)
    reading = [
        asyncio.ensure_future(_read(process.stdout, stdout)),
        asyncio.ensure_future(_read(process.stderr, stderr)),
    ]
    timed_out = False
    try:
        if not await ended(process, timeout_s):
            timed_out = True
            await end(process, keepers)
        # Whoever could hold the other end of the pipes is gone by now.
        await asyncio.wait(reading, timeout=DRAIN_S)
    finally:
        if process.returncode is None:
            kill(process, keepers)
        for task in reading:
            task.cancel()
    code = 128 + signal.SIGKILL if process.returncode is None else process.returncode
    return Finished(
        exit_code=code if code >= 0 else 128 - code,
        stdout=kept(stdout),
        stderr=kept(stderr),
        duration_s=round(time.monotonic() - started, 3),
        timed_out=timed_out,
    )


async def ended(process: asyncio.subprocess.Process, within_s: float) -> bool:
    """Wait for a process; return whether it has ended."""
    try:
        async with asyncio.timeout(within_s):
            await process.wait()
    except TimeoutError:
        return False
    return True


async def end(process: asyncio.subprocess.Process, keepers: int) -> None:
    """Interrupt, terminate and kill a command, until it has ended."""
    for number, grace_s in ((signal.SIGINT, INTERRUPT_GRACE_S), (signal.SIGTERM, TERMINATE_GRACE_S)):
        below = await asyncio.to_thread(descendants, process.pid, below=keepers - 1)
        send_signal(below, number)
        if await ended(process, grace_s):
            return
    await killed(process, keepers)


async def killed(process: asyncio.subprocess.Process, keepers: int) -> None:
    """Kill a command and wait until it has ended, a few seconds at most."""
    kill(process, keepers)
    if not await ended(process, DRAIN_S):
        send_signal([process.pid], signal.SIGKILL)
        await ended(process, DRAIN_S)


def kill(process: asyncio.subprocess.Process, keepers: int) -> None:
    """Kill all that descends from a process, so that it ends itself; once it has, nothing of it is left."""
    if process.returncode is not None:
        return
    below = descendants(process.pid, below=0)
    if keepers == 1:
        # The supervisor ends what is left, however much it multiplies.
        send_signal([process.pid], signal.SIGTERM)
    # With a namespace its first process is among them; the kernel lets that one go after all others.
    send_signal(below or [process.pid], signal.SIGKILL)


async def _read(stream: asyncio.StreamReader, output: BoundedOutput) -> None:
    pieces = 0
    while piece := await stream.read(PIECE_BYTES):
        output.add(piece)
        pieces += 1
        if pieces % PIECES_WITHOUT_PAUSE == 0:
            await asyncio.sleep(PAUSE_S)
