"""Tables in plain aligned text, cut to the width of a terminal and whole elsewhere."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Sequence

from core.commands.terminal_text import on_one_line

LONGEST_CELL = 300
"""Columns. On a terminal the rest of a longer cell is for `show` and `--json`; a pipe gets it whole, and the column
does not become wider for it."""

_GAP = "  "
_NARROWEST = 6


def log_lines(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return entries of a log as a table, elsewhere than on a terminal a line each, for `cut -f`, `awk` and the like.

    There the cells stand between tabs, no cell holds one, and what is longer than LONGEST_CELL is cut: `--json` has
    the whole.
    """
    if _on_terminal():
        return table(headings, rows)
    lines = [list(headings), *([on_one_line(str(cell)) or "-" for cell in row] for row in rows)]
    return "\n".join("\t".join(_cut(cell, LONGEST_CELL) for cell in line) for line in lines)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the rows under their headings; where stdout is a terminal, no line is wider than it."""
    lines = [list(headings), *([on_one_line(str(cell)) for cell in row] for row in rows)]
    widths = [min(max(_width(line[column]) for line in lines), LONGEST_CELL) for column in range(len(headings))]
    fit = _padded
    if _on_terminal():
        _shrink(widths, shutil.get_terminal_size().columns)
        fit = _fit
    return "\n".join(_GAP.join(map(fit, line, widths)).rstrip() for line in lines)


def _on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _shrink(widths: list[int], columns: int) -> None:
    """Take from the widest columns until all fit."""
    while sum(widths) + len(_GAP) * (len(widths) - 1) > columns and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1


def _fit(cell: str, width: int) -> str:
    return _padded(_cut(cell, width), width)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += _width(character)
        if used >= width:
            break
        kept += character
    return f"{kept}…"


def _width(text: str) -> int:
    """Return how many columns a terminal takes for `text`."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
