"""Runs of the command line that are forked from one process which has imported everything.

What is tested is the program from its arguments to its exit status; that it starts from nothing, and what it imports,
is tested elsewhere by real starts. `python -m tests.support.forked_program SOCKET` is the process that forks.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
STARTED_WITHIN_S = 60.0
_KEEP: dict[str, Any] = {}


def run_forked(
    arguments: tuple[str, ...], *, env: Mapping[str, str], stdin: str, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `main.py` with these arguments and environment to its end; raises TimeoutExpired as subprocess.run does."""
    with tempfile.TemporaryDirectory(prefix="rekku-run-") as name:
        files = {which: os.path.join(name, which) for which in ("stdin", "stdout", "stderr")}
        Path(files["stdin"]).write_text(stdin, encoding="utf-8")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(_address())
            request = {"arguments": arguments, "env": dict(env), "files": files}
            connection.sendall(json.dumps(request).encode() + b"\n")
            stream = connection.makefile("rb")
            pid = json.loads(stream.readline())["pid"]
            try:
                code = json.loads(stream.readline())["code"]
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["rekku", *arguments], timeout_s) from None
        out, err = (Path(files[which]).read_text(encoding="utf-8") for which in ("stdout", "stderr"))
    return subprocess.CompletedProcess(["rekku", *arguments], code, out, err)


def _address() -> str:
    """Return where the forking process listens, which is started when it is first needed."""
    if "address" not in _KEEP:
        directory = tempfile.TemporaryDirectory(prefix="rekku-fork-")
        address = os.path.join(directory.name, "socket")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked_program", address], cwd=ROOT, stdin=subprocess.PIPE
        )
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not os.path.exists(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the process that forks does not start")
            time.sleep(0.02)
        _KEEP.update(address=address, directory=directory, process=process)
        atexit.register(_end)
    return str(_KEEP["address"])


def _end() -> None:
    process = _KEEP["process"]
    process.stdin.close()  # it ends with its stdin, also when we are killed
    process.wait(10)


def serve(address: str) -> None:
    """Fork a run for each connection, until stdin ends."""
    import main  # noqa: F401
    import plugins.event
    import plugins.terminal  # noqa: F401

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address + ".new")
    listener.listen(8)
    os.rename(address + ".new", address)
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:  # which waits for the run, and tells of it
            listener.close()
            _attend(connection)
        connection.close()


def _attend(connection: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = json.loads(connection.makefile("rb").readline())
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(request)
    connection.sendall(json.dumps({"pid": pid}).encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    connection.sendall(json.dumps({"code": os.waitstatus_to_exitcode(status)}).encode() + b"\n")
    os._exit(0)


def _become(request: dict[str, Any]) -> NoReturn:
    """Be `python main.py …`."""
    modes = {"stdin": os.O_RDONLY, "stdout": os.O_WRONLY | os.O_CREAT, "stderr": os.O_WRONLY | os.O_CREAT}
    for number, (which, mode) in enumerate(modes.items()):
        descriptor = os.open(request["files"][which], mode, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - until the process ends
        for number, mode in enumerate(("r", "w", "w"))
    )
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv = ["main.py", *request["arguments"]]
    code = 70
    try:
        import main

        main.main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        atexit._run_exitfuncs()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
