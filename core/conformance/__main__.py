"""The process in which one component is examined: `python -m core.conformance PATH CLASS HOME READS RESULT`."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

from core.conformance.examination import examine
from core.conformance.target import Target


def main(path: str, cls: str, home: str, reads: str, result: str) -> None:
    """Examine, and write the findings as JSON to the file `result`."""
    importlib.import_module("core.testing")  # what a module of tests imports besides is not its own weight
    target = Target(path=Path(path), cls=cls)
    findings = examine(target, Path(home), run_reads=reads == "reads")
    partial = Path(f"{result}.part")
    partial.write_text(json.dumps([finding.as_json() for finding in findings]), encoding="utf-8")
    partial.replace(result)
    # Threads and tasks that the component has left must not keep this process: what they are was told.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
