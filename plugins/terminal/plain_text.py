"""What a terminal was sent, as the text that a person would have read. Pure."""

from __future__ import annotations

import re

_FULL_SCREEN = re.compile(r"\x1b\[\?(?:1049|1047|47)h.*?(?:\x1b\[\?(?:1049|1047|47)l|\Z)", re.DOTALL)
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|\Z)"  # strings: titles, links, …
    r"|\x1b[ -/]*[0-~]"
    r"|\x1b\Z"
)
_CONTROLS = re.compile(r"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]")


def plain_text(raw: str) -> str:
    """Return the text without sequences, with lines as they were after "\\r" and backspaces.

    What a full-screen program painted is left out; that is the business of `Screen`.
    """
    text = _SEQUENCE.sub("", _FULL_SCREEN.sub("", raw))
    text = text.replace("\r\n", "\n")
    if "\r" in text or "\b" in text:
        text = "\n".join(map(_overwritten, text.split("\n")))
    return _CONTROLS.sub("", text)


def _overwritten(line: str) -> str:
    """Return what is left of a line after the carriage returns and backspaces in it."""
    if "\r" not in line and "\b" not in line:
        return line
    cells: list[str] = []
    column = 0
    for character in line:
        if character == "\r":
            column = 0
        elif character == "\b":
            column = max(column - 1, 0)
        else:
            cells[column : column + 1] = [character]
            column += 1
    return "".join(cells)
