"""What `rekku plugins new` writes passes its own tests, the linter, the strict types and the conformance kit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.commands.plugin_skeleton import how_to_test, write_skeleton
from core.conformance.findings import OK
from core.conformance.separate_process import check
from core.conformance.target import target_of

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / "pyproject.toml")


def run(folder: Path, *words: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)}
    command = [sys.executable, "-m", *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("folder", [False, True])
def test_it_runs_as_it_is(tmp_path: Path, folder: bool) -> None:
    place = tmp_path / "plugins"
    made = write_skeleton("tea_timer", place, folder=folder, home=tmp_path / "home")
    (hint,) = how_to_test(made.test)
    tested = subprocess.run(hint, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert "3 passed" in tested.stdout, tested.stdout + tested.stderr
    run(place, "ruff", "check", "--no-cache", "--config", CONFIG, ".")
    run(place, "ruff", "format", "--no-cache", "--check", "--config", CONFIG, ".")
    cache = str(tmp_path / "cache")
    files = [str(path.relative_to(place)) for path in sorted(place.rglob("*.py")) if "__pycache__" not in path.parts]
    run(place, "mypy", "--strict", "--explicit-package-bases", "--cache-dir", cache, "--config-file", CONFIG, *files)
    findings = check(target_of(str(made.plugin), tmp_path / "home"), run_reads=True)
    assert {finding.state for finding in findings} == {OK}
