"""Where the project's files are, for the tests that look at all of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "plugins", "interfaces", "engines")
_NOT_OURS = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}


def modules() -> list[str]:
    """Return the dotted names of all modules of the packages, and `main`, sorted; packages before their parts."""
    names = ["main"] if (ROOT / "main.py").exists() else []
    for package in PACKAGES:
        names += [module_name(path) for path in sorted((ROOT / package).rglob("*.py")) if not _runs_alone(path)]
    return sorted(names)


def module_name(path: Path) -> str:
    """Return the dotted name of a file below the root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def project_files() -> list[Path]:
    """Return every file that is tracked, or would be; where there is no git, every file that is not generated."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True, timeout=30, text=True)
    except (OSError, subprocess.CalledProcessError):
        files = (path for path in ROOT.rglob("*") if not _NOT_OURS & set(path.relative_to(ROOT).parts))
    else:
        files = (ROOT / name for name in listing.stdout.split("\0") if name)
    return sorted(path for path in files if path.is_file() and not path.is_symlink())


def _runs_alone(path: Path) -> bool:
    """Tell whether a file is a program that Alembic or `python -m` runs, rather than a module."""
    return path.name == "__main__.py" or "migrations" in path.parts
