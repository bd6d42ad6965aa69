"""Servers in processes of their own, so that they take none of the time of the one that is measured."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def server_process(module: str) -> Iterator[str]:
    """Run a module that serves on 127.0.0.1; yields the first line that it prints, which tells where."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        where = process.stdout.readline().strip()
        if not where:
            raise RuntimeError(f"{module} did not start.")
        yield where
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def model_process() -> Iterator[str]:
    """Run a model that answers every chat completion at once; yields its base URL."""
    with server_process("tests.support.model_server") as port:
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def bot_api_process() -> Iterator[str]:
    """Run a Bot API; yields its base URL."""
    with server_process("tests.support.bot_api") as base_url:
        yield base_url
