"""Runs one command and prints, as JSON, what it took: `python measured_child.py COMMAND…`.

A program of its own, and a small one: the largest memory of a process counts that of its parent from before it
replaced itself, which is that of the whole benchmark otherwise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def main(command: list[str]) -> None:
    """Print the seconds to the first line of standard output and to the end, the largest memory, and the rest."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    first_s = time.perf_counter() - began
    rest = process.stdout.read()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    measured = {
        "first_line_s": first_s,
        "end_s": time.perf_counter() - began,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "memory_mb": usage.ru_maxrss / 1024 * 1.048576,
        "status": os.waitstatus_to_exitcode(status),
        "output": (first + rest).decode(errors="replace"),
        "errors": errors.decode(errors="replace"),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main(sys.argv[1:])
