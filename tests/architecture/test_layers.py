"""The layers of docs/architecture.md hold, and the contracts that say so notice when they do not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT

_LINT = "import sys; from importlinter.cli import lint_imports_command as lint; lint(sys.argv[1:])"


def _lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _LINT, "--config", ".importlinter", "--no-cache", "--no-logo"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"COLUMNS": "200"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_layers_hold() -> None:
    result = _lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages that a test may spoil."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("core/unplaced.py", "", "core.unplaced"),
        ("core/turn/unplaced.py", "", "core.turn.unplaced"),
        ("core/contracts/spoiled.py", "import core.engine_base", "core.contracts is not allowed to import"),
        ("core/storage/spoiled.py", "import core.services.spoiled", "core.storage is not allowed to import"),
        ("core/turn/stages/spoiled.py", "import core.turn.stages.other", "Stages never import each other BROKEN"),
        ("core/turn/stages/spoiled.py", "import core.services.spoiled", "core.turn.stages is not allowed to import"),
        ("core/turn/stages/spoiled.py", "import sqlalchemy", "core.turn.stages is not allowed to import"),
        ("core/services/spoiled.py", "def late():\n    import openai", "core is not allowed to import openai"),
        ("core/services/spoiled.py", "import plugins.other", "core is not allowed to import plugins"),
        ("plugins/spoiled.py", "import core.storage", "plugins is not allowed to import core.storage"),
        ("plugins/spoiled.py", "import core.declarations", "plugins is not allowed to import core.declarations"),
        ("plugins/spoiled.py", "import plugins.other", "plugins.spoiled is not allowed to import plugins.other"),
        ("engines/spoiled.py", "import interfaces.other", "engines.spoiled is not allowed to import"),
    ],
)
def test_a_breach_is_named(tree: Path, path: str, source: str, complaint: str) -> None:
    for folder in ("core/services", "core/storage"):
        (tree / folder).mkdir(exist_ok=True)
        (tree / folder / "__init__.py").touch()
    for name in ("core/services/spoiled.py", "core/turn/stages/other.py", "plugins/other.py", "interfaces/other.py"):
        (tree / name).touch()
    (tree / path).write_text(source + "\n")
    result = _lint(tree)
    assert result.returncode == 1
    assert complaint in result.stdout
