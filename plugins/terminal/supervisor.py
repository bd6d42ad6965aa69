"""Stands above a command where no namespace of processes does: whatever the command leaves behind ends with it.

Imported by `limited.py` from its own folder; uses the standard library only.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import time
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63
CLEANING_S = 5.0
NOT_STARTED = 125

_libc = ctypes.CDLL(None, use_errno=True)


def run(spec: dict[str, Any], command: list[str]) -> NoReturn:
    """Run the command as a child; when it ends, or this process is told to, end all that descends from it."""
    rekku = os.getppid()
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        _become(spec, command)

    def end(*_: object) -> None:
        _end_descendants()
        os._exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTOU, signal.SIGTTIN):
        signal.signal(ignored, signal.SIG_IGN)
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != rekku:
        end()
    # A pipe that it held would keep its reader waiting.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    status = 0
    while True:
        ended, ended_as = os.waitpid(-1, 0)
        if ended == child:
            status = os.waitstatus_to_exitcode(ended_as)
            break
    _end_descendants()
    os._exit(status if status >= 0 else 128 - status)


def _become(spec: dict[str, Any], command: list[str]) -> NoReturn:
    try:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.chdir(spec["cwd"])
        if spec["landlock"] is not None:
            _prctl(PR_SET_NO_NEW_PRIVS, 1)
            _drop_capabilities()
            importlib.import_module("landlock").restrict(_with_own_terminal(spec))
        os.execvpe(command[0], command, os.environ)
    except OSError as error:
        print(f"The command could not be started: {error}", file=sys.stderr)  # noqa: T201 - its standard error
        sys.stderr.flush()
    os._exit(NOT_STARTED)


def _with_own_terminal(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the rules, and with them the one terminal that belongs to the command."""
    rules: dict[str, Any] = spec["landlock"]
    return {**rules, "devices": [*rules["devices"], os.ttyname(0)]} if spec["terminal"] else rules


def _drop_capabilities() -> None:
    """Give up what root may do beyond owning files; a user has none, and is refused silently."""
    for capability in range(LAST_CAPABILITY + 1):
        _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    number = SYS_CAPSET.get(os.uname().machine)
    if number is None:
        if os.geteuid() == 0:
            raise OSError(f"capabilities cannot be given up on {os.uname().machine}")
        return
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if _libc.syscall(number, header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _end_descendants() -> None:
    """Kill and reap until nothing is left: stopped first, so that nothing can be born while they are killed."""
    deadline = time.monotonic() + CLEANING_S
    while time.monotonic() < deadline:
        below = _descendants()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in below:
                try:
                    os.kill(pid, number)
                except OSError:
                    continue  # it has ended, or is not ours to end
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def _descendants() -> list[int]:
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
    below = {os.getpid()}
    found: list[int] = []
    growing = True
    while growing:
        more = [pid for pid, parent in parents.items() if parent in below and pid not in below]
        below.update(more)
        found += more
        growing = bool(more)
    return found


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
