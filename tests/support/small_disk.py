"""File systems that can be filled, or fail: real ones, that root alone may mount."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BLOCK = bytes(1 << 16)
NOT_ROOT = "a small file system can be mounted by root alone"


class SmallDisk:
    """A file system of a few megabytes, in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
            for size in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while ballast.write(BLOCK[:size]):
                        pass

    def make_room(self) -> None:
        """Take away again what fills it."""
        self._ballast.unlink(missing_ok=True)


class FailingDisk:
    """A file system on a device of its own that becomes read-only under whoever writes to it, as a bad disk does."""

    def __init__(self, path: Path, image: Path) -> None:
        self.path = path
        self._image = image

    def mount(self, *options: str) -> None:
        """Mount it for the first time, or again."""
        _mount("-o", ",".join(("loop", "errors=remount-ro", *options)), str(self._image), str(self.path))

    def unmount(self) -> None:
        """Take it away; nobody may have a file on it open any more."""
        subprocess.run(["umount", str(self.path)], check=True, capture_output=True)

    def fail(self) -> None:
        """Let it become read-only now."""
        _mount("-o", "remount,abort", str(self.path))


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """Mount a small disk, which other users may enter; skips the test where that is not possible."""
    with _place() as path:
        _mount("-t", "tmpfs", "-o", f"size={megabytes}M,mode=755", "rekku", str(path))
        try:
            yield SmallDisk(path)
        finally:
            subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True)


@contextmanager
def failing_disk(megabytes: int = 32) -> Iterator[FailingDisk]:
    """Mount a disk that can be made to fail; skips the test where that is not possible."""
    program = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip("mkfs.ext4 is missing: apt install e2fsprogs")
    with _place() as path, tempfile.TemporaryDirectory(prefix="rekku-image-") as name:
        image = Path(name) / "image"
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run([program, "-q", str(image)], check=True, capture_output=True)
        disk = FailingDisk(path, image)
        disk.mount()
        try:
            yield disk
        finally:
            subprocess.run(["umount", "--lazy", str(path)], check=False, capture_output=True)


@contextmanager
def _place() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip(NOT_ROOT)
    path = Path(tempfile.mkdtemp(prefix="rekku-disk-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            path.rmdir()


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
