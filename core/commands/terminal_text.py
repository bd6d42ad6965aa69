"""What commands write: answers to stdout, complaints to stderr, never a character that a terminal would obey."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import TextIO

from core.contracts.json import Json

PROGRAM = "rekku"


def typed(*words: str) -> str:
    """Return a command of this program as it can be typed here, whichever way it was started."""
    program = [PROGRAM]
    if Path(sys.argv[0]).name == "main.py" and shutil.which(PROGRAM) is None:
        program = [sys.orig_argv[0], sys.argv[0]]
    return shlex.join([*program, *words])


def say(text: str) -> None:
    """Write an answer to stdout. Raises BrokenPipeError when nobody reads it."""
    _write(sys.stdout, text)


def say_cells(text: str) -> None:
    """Write lines whose cells stand between tabs to stdout."""
    _write(sys.stdout, text, cells=True)


def say_json(value: Json) -> None:
    """Write one JSON value to stdout; what could not be printed stands there as its escape."""
    _write(sys.stdout, printable_json(value, indent=2))


def printable_json(value: Json, indent: int | None = None) -> str:
    """Return a JSON text in which what could not be printed stands as its escape."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # Outside of its strings a JSON text has nothing that is not printable, and in them an escape means the same.
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def complain(text: str) -> None:
    """Write a complaint or a warning to stderr, under the program's name; a stderr that is gone is no error."""
    try:
        _write(sys.stderr, f"{PROGRAM}: {text}")
    except (OSError, ValueError):
        return


def on_one_line(text: str) -> str:
    """Return `text` on one line, with whatever is not printable escaped."""
    return visible(" ".join(text.split("\n")))


def visible(text: str) -> str:
    """Return `text` with whatever is not printable escaped, but for line ends."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _write(stream: TextIO | None, text: str, *, cells: bool = False) -> None:
    if stream is None:  # what Python makes of a standard stream that is closed
        return
    line = "\t".join(map(visible, text.split("\t"))) if cells else visible(text)
    line = f"{line}\n"
    try:
        stream.write(line)
    except UnicodeEncodeError:
        stream.write(line.encode("ascii", "backslashreplace").decode("ascii"))
    stream.flush()
