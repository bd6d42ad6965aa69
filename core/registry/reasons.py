"""Why a component does not work, in a sentence with file and line: what is shown in place of a traceback."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb

from core.contracts.errors import RekkuError

_LONGEST = 500


def reason_of(error: BaseException, folder: Path | None = None) -> str:
    """Return one line for a person. `folder`: where the component lives; frames in it say where it went wrong."""
    if isinstance(error, RekkuError):
        return error.explain()
    if isinstance(error, SyntaxError):
        place = f"{Path(error.filename).name}, line {error.lineno}" if error.filename else ""
        return _line(f"{type(error).__name__}: {error.msg}", place)
    first_line = (str(error).strip().splitlines() or [""])[0]
    name = type(error).__name__
    sentence = f"{name}: {first_line}" if first_line else name
    if isinstance(error, ModuleNotFoundError) and error.name:
        sentence += f"; install what provides {error.name}"
    return _line(sentence, _place(error, folder))


def _line(sentence: str, place: str) -> str:
    if len(sentence) > _LONGEST:
        sentence = sentence[:_LONGEST] + "…"
    return f"{sentence} ({place})" if place else sentence


def _place(error: BaseException, folder: Path | None) -> str:
    """Return the innermost frame inside the folder, as "dice.py, line 3"."""
    if folder is None:
        return ""
    frames = [frame for frame in extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(folder)]
    return f"{Path(frames[-1].filename).relative_to(folder)}, line {frames[-1].lineno}" if frames else ""
