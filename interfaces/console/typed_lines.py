"""The file of lines that were typed before, as something that is kept of whoever sits at the terminal."""

from __future__ import annotations

from pathlib import Path


def typed_lines(path: Path) -> list[str]:
    """Return what was typed, the oldest first: each entry of the file is a comment and lines that begin with "+"."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    entries: list[list[str]] = []
    inside = False
    for line in text.split("\n"):
        if line.startswith("+"):
            if not inside:
                entries.append([])
            entries[-1].append(line[1:])
        inside = line.startswith("+")
    return ["\n".join(entry) for entry in entries]


def forget_lines(path: Path) -> int:
    """Delete the file; return how many entries it had."""
    count = len(typed_lines(path))
    path.unlink(missing_ok=True)
    return count
