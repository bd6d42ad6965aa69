"""From nothing to the first reply: `python main.py chat --once hi` as its user runs it."""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.bare_calls import MODEL
from benchmarks.figures import Figure, percentile
from benchmarks.server_process import ROOT

COMMAND = (sys.executable, "main.py", "chat", "--once", "hi")
MEASURED_CHILD = Path(__file__).with_name("measured_child.py")


def startup(directory: Path, base_url: str, *, starts: int) -> list[Figure]:
    """Start `starts` times with each engine, in one home each that the first start makes."""
    for package in ("core", "plugins", "interfaces", "engines"):
        compileall.compile_dir(ROOT / package, quiet=2)  # as every second start of an installation finds it
    engines = {
        "offline": ({}, 80),
        "openai": ({"OPENAI_BASE_URL": base_url, "OPENAI_MODEL": MODEL}, 120),
    }
    figures = []
    for engine, (variables, largest_mb) in engines.items():
        runs = [_run({"REKKU_HOME": str(directory / engine), **variables}) for _ in range(starts + 1)]
        first, again = runs[0], runs[1:]
        figures += [
            Figure(
                name=f"start to first reply, {engine}",
                value=percentile([run["first_line_s"] for run in again], 0.5),
                unit="s",
                at_most=1,
            ),
            Figure(name=f"start to first reply, {engine}, new home", value=first["first_line_s"], unit="s"),
            Figure(name=f"start to end, {engine}", value=percentile([run["end_s"] for run in again], 0.5), unit="s"),
            Figure(
                name=f"largest memory, {engine}",
                value=max(run["memory_mb"] for run in runs),
                unit="MB",
                at_most=largest_mb,
            ),
        ]
    return figures


def _run(variables: Mapping[str, str]) -> dict[str, Any]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
    child = subprocess.run(
        [sys.executable, "-S", str(MEASURED_CHILD), *COMMAND],
        cwd=ROOT,
        env={**kept, **variables, "REKKU_LOG_LEVEL": "WARNING"},
        capture_output=True,
        text=True,
        check=True,
    )
    run: dict[str, Any] = json.loads(child.stdout)
    if run["status"] != 0 or not run["output"].strip():
        raise RuntimeError(f"{' '.join(COMMAND)} ended with {run['status']}: {run['errors'] or run['output']}")
    return run
