"""A process above a program of a plugin's, which ends it with all that it has started when Rekku ends or says so.

It waits for the end of the program, or of Rekku: then it ends everything that descends from it, also what has left
its session, and tells how the program ended. So nothing is left when Rekku itself is killed. Run as a program of its
own it starts the command that it is given; it imports nothing of Rekku's, so that it is small and there at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ROUNDS = 200
PAUSE_S = 0.01
LOOK_EVERY_MS = 500
NOT_STARTED = 127


def guarded(command: Sequence[str], life_fd: int) -> tuple[str, ...]:
    """Return what runs `command`, whose first word is a path, below a guard; the end of `life_fd` ends it.

    The guard says the program's process id there, and ends as that does. Elsewhere than on Linux the command comes
    back as it is.
    """
    if sys.platform != "linux":
        return tuple(command)
    return (sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(life_fd), *command)


def fork_below_guard(life_fd: int) -> int:
    """Split in two: return 0 in the program's process, and its process id in the guard's."""
    linux = sys.platform == "linux"
    if linux:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
    guard = os.getpid()
    program = os.fork()
    if program == 0:
        os.close(life_fd)
        os.setsid()
        if linux:
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != guard:
                os._exit(1)
    return program


def watch_over(program: int, life_fd: int) -> int:
    """Wait for the end of the program or of Rekku, end the rest, and return how the program ended: see Popen."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a Ctrl-C is for Rekku, which stops its plugins in order
    for fd in (1, 2):
        os.close(fd)  # the program's end is to be the end of what it prints
    rekku = os.getppid()
    life = socket.socket(fileno=life_fd)
    life.set_inheritable(False)
    poll = select.poll()
    poll.register(life, select.POLLIN | select.POLLHUP)
    with contextlib.suppress(OSError):  # nobody is there any more, which is seen below
        life.send(f"{program} ".encode())
    with contextlib.suppress(OSError, AttributeError):
        poll.register(os.pidfd_open(program), select.POLLIN)  # type: ignore[attr-defined, unused-ignore]
    status = None
    while status is None:
        ready = poll.poll(LOOK_EVERY_MS)
        status = _reap(program)
        # A copy of Rekku that somebody has forked off may hold the other end open.
        if os.getppid() != rekku or any(fd == life.fileno() for fd, _ in ready):
            break
    status = _end_all(program, status)
    code = os.waitstatus_to_exitcode(status) if status is not None else 0
    with contextlib.suppress(OSError):
        life.send((f"exit {code}" if code >= 0 else f"signal {-code}").encode())
    return code


def descendants_of(pid: int) -> list[int]:
    """Return the processes that descend from one, without it; where /proc does not tell, none."""
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < 10_000:
        with contextlib.suppress(OSError):
            for task in Path("/proc", str(waiting.pop()), "task").iterdir():
                with contextlib.suppress(OSError, ValueError):
                    children = [int(child) for child in (task / "children").read_text().split()]
                    found += children
                    waiting += children
    return found


def _end_all(program: int, status: int | None) -> int | None:
    """Kill all descendants, until none is left; a few rounds, since they may go on starting more."""
    for _ in range(ROUNDS):
        descendants = descendants_of(os.getpid())
        if status is None:
            descendants.append(program)
        for pid in descendants:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.killpg(program, signal.SIGKILL)
        ended = _reap(program)
        status = ended if status is None else status
        if status is not None and not descendants_of(os.getpid()):
            break
        time.sleep(PAUSE_S)
    return status


def _reap(program: int) -> int | None:
    """Reap what has ended; return the program's status if it was among it. What has lost its parent is ours."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == program:
            found = status


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main(arguments: list[str]) -> None:
    """arguments: the descriptor of the life line, then the command."""
    life_fd, command = int(arguments[0]), arguments[1:]
    program = fork_below_guard(life_fd)
    if program == 0:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them, and a program inherits that
        try:
            os.execv(command[0], command)
        except OSError as error:
            os.write(2, f"it cannot be started: {error}\n".encode())
            os._exit(NOT_STARTED)
    code = watch_over(program, life_fd)
    if code < 0:
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
