"""The lines that were typed before, in a file that only its owner can read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from prompt_toolkit.history import FileHistory

_MAX_FILE_BYTES = 1024 * 1024
_KEPT_FILE_BYTES = 512 * 1024
_MAX_ENTRY_CHARACTERS = 64 * 1024
_OWNER_ONLY = 0o600


class PromptHistory(FileHistory):
    """prompt_toolkit's own file, with a bound; a full disk costs the line, not the conversation."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        with contextlib.suppress(OSError):
            _prepare(path)

    def store_string(self, string: str) -> None:
        """Append a line that was typed, unless it is a document."""
        if len(string) <= _MAX_ENTRY_CHARACTERS:
            with contextlib.suppress(OSError):
                super().store_string(string)


def _prepare(path: Path) -> None:
    """Create the file, take others' rights to it away, and cut its oldest half off when it has grown over 1 MiB."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
    with open(descriptor, "rb", buffering=0) as file:
        os.fchmod(descriptor, _OWNER_ONLY)
        size = os.fstat(descriptor).st_size
        if size <= _MAX_FILE_BYTES:
            return
        file.seek(size - _KEPT_FILE_BYTES)
        kept = file.read(_KEPT_FILE_BYTES)
    entry = kept.find(b"\n\n#")  # where an entry begins
    shorter = path.with_name(path.name + ".new")
    with open(os.open(shorter, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY), "wb") as file:
        file.write(kept[entry + 1 :] if entry >= 0 else b"")
    shorter.replace(path)
