"""The two files of a home, as they are written: `.env` and `rekku.toml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from core.contracts.json import JsonObject
from core.settings.problems import Problems

LARGEST_FILE = 1 << 20
"""Bytes; a larger configuration file is taken for a mistake."""

_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_env_file(path: Path, problems: Problems) -> dict[str, str]:
    """Return the variables of a `.env` file as they are written; empty when there is none."""
    text = _text(path, problems)
    if text is None:
        return {}
    import io

    from dotenv.parser import parse_stream

    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            problems.add(f"{path}, line {_first_line(binding.original)}", "cannot be read.", "Write NAME=value.")
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _first_line(original: Any) -> int:
    """The line of a binding itself: the parser counts from the blank lines before it."""
    text: str = original.string
    return int(original.line) + text[: len(text) - len(text.lstrip())].count("\n")


def read_toml(path: Path, problems: Problems) -> JsonObject:
    """Return the tables of a TOML file as they are written; empty when there is none, or it cannot be read."""
    text = _text(path, problems)
    if text is None:
        return {}
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _TOML_PLACE.search(message)
        what = _TOML_PLACE.sub("", message)
        line = (
            f", line {place[1]}, column {place[2]}"
            if place and place[1]
            else f", line {text.count(chr(10)) + 1}, its end"
        )
        problems.add(f"{path}{line}", f"is not valid TOML: {what}.", _toml_cure(what))
    return {}


def _toml_cure(what: str) -> str:
    if "Invalid value" in what:
        return 'Text stands in quotes (KEY = "text"); true, false and numbers do not.'
    if "overwrite" in what or "twice" in what:
        return "The key or table stands there twice: keep one."
    if "escape" in what.lower():
        return "In double quotes a backslash is written \\\\; in single quotes it stands for itself."
    return 'A line is KEY = value, a table begins with [name], a comment with "#".'


def _text(path: Path, problems: Problems) -> str | None:
    """Return a file's text; None when it is not there, or cannot be read."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        problems.add(str(path), f"cannot be read ({error.strerror}).", "Make it a file that this user may read.")
        return None
    if len(content) > LARGEST_FILE:
        problems.add(str(path), f"is larger than {LARGEST_FILE} bytes.", "Put the right file there.")
        return None
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        problems.add(str(path), f"is not UTF-8 (byte {error.start}).", "Save it as UTF-8.")
    return None
