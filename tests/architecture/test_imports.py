"""Importing any module does nothing, and what is heavy is loaded only when its component starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, modules

HEAVY = (
    "alembic",
    "openai",
    "prompt_toolkit",
    "rich.live",
    "rich.markdown",
    "httpx2",
    "aiohttp",
    "aiogram",
    "prometheus_client",
)
"""Of rich only what it renders with: structlog itself imports the rest."""

_PROBE = Path(__file__).with_name("import_probe.py")


def _probe(names: list[str], heavy: tuple[str, ...], root: Path, home: Path) -> dict[str, list[str]]:
    """Import `names` in a process whose home is `home`; return what each of them did besides."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "REKKU_"))}
    result = subprocess.run(
        [sys.executable, str(_PROBE), *names, "--", *heavy],
        cwd=root,
        env=kept | {"HOME": str(home), "REKKU_HOME": str(home / "rekku")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr, result.stderr
    *spoken, last = result.stdout.splitlines()
    assert not spoken, f"an import printed {spoken}"
    findings: dict[str, list[str]] = json.loads(last)
    return findings


def _may_import_its_sdk(name: str) -> bool:
    """Tell whether a module is a part of a component that is imported when the component starts."""
    package = name.partition(".")[0]
    is_package = (ROOT / name.replace(".", "/")).is_dir()
    return package in {"plugins", "interfaces", "engines"} and name.count(".") > 1 and not is_package


def test_importing_does_nothing(tmp_path: Path) -> None:
    assert _probe(modules(), (), ROOT, tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_heavy_packages_wait_until_they_are_used(tmp_path: Path) -> None:
    light = [name for name in modules() if not _may_import_its_sdk(name)]
    assert _probe(light, HEAVY, ROOT, tmp_path) == {}


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("open('left-behind', 'w').close()", "opened 'left-behind' for writing"),
        ("import socket; socket.socket().close()", "socket.__new__"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import threading; threading.Thread(target=int).start()", "started a thread"),
        ("import sqlite3; sqlite3.connect(':memory:').close()", "sqlite3.connect"),
        ("import asyncio; asyncio.new_event_loop().close()", "socket.__new__"),
        ("import os; os.environ['X'] = 'y'", "changed: environment"),
        ("import logging; logging.basicConfig()", "changed: log handlers"),
        ("import rich.markdown", "loaded rich.markdown"),
        ("raise ValueError('broken')", "could not be imported: ValueError: broken"),
    ],
)
def test_a_module_that_does_something_is_named(tmp_path: Path, source: str, finding: str) -> None:
    (tmp_path / "innocent.py").write_text("import json\n")
    (tmp_path / "guilty.py").write_text(source + "\n")
    findings = _probe(["innocent", "guilty"], HEAVY, tmp_path, tmp_path)
    assert findings.keys() == {"guilty"}
    assert any(finding in what for what in findings["guilty"]), findings
