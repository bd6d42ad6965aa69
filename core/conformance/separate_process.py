"""Has a component examined in a process of its own, with a home that is thrown away."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from core.conformance.findings import FAILED, Finding
from core.conformance.target import Target

LONGEST_S = 120.0
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""Variables that the process sees; tokens and the user's own settings are none of them."""

_ROOT = Path(__file__).resolve().parents[2]
_TAIL = 400


def check(target: Target, *, run_reads: bool = False, timeout_s: float = LONGEST_S) -> list[Finding]:
    """Return what the checks have found; one that does not end in `timeout_s` seconds is ended, and has failed.

    run_reads: run the actions that only read, too. Nothing of this process or of REKKU_HOME is touched.
    """
    with tempfile.TemporaryDirectory(prefix="rekku-check-", ignore_cleanup_errors=True) as place:
        home, result, errors = Path(place, "home"), Path(place, "result.json"), Path(place, "errors.txt")
        home.mkdir()
        command = [sys.executable, "-m", "core.conformance", str(target.path), target.cls, str(home)]
        command += ["reads" if run_reads else "", str(result)]
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                command,
                cwd=home,
                env=_environment(home),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
            ended = _ended(process, timeout_s)
        if result.is_file():
            return [Finding(**finding) for finding in json.loads(result.read_text(encoding="utf-8"))]
        if not ended:
            detail = f"It did not end within {timeout_s:g} s: something of it hangs, and holds everything up."
            return [Finding(check="process", state=FAILED, detail=detail, cure="Let nothing wait without a limit.")]
        said = errors.read_text(encoding="utf-8", errors="replace").strip()[-_TAIL:]
        detail = f"It has ended the process that it runs in (status {process.returncode}). {said}".strip()
        return [Finding(check="process", state=FAILED, detail=detail, cure="Never call os._exit or sys.exit.")]


def _ended(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait for the process and end what is left of its group; returns False when it had to be ended itself."""
    try:
        process.wait(timeout=timeout_s)
        ended = True
    except subprocess.TimeoutExpired:
        ended = False
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return ended


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    search = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
    return kept | {
        "HOME": str(home),
        "REKKU_HOME": str(home),
        "PYTHONPATH": search,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
