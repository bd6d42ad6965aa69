"""Why a component does not work, in a sentence with file and line: what is shown in place of a traceback."""

from __future__ import annotations

from pathlib import Path

from core.code_places import place_raised
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
    return _line(sentence, place_raised(error, folder))


def _line(sentence: str, place: str) -> str:
    if len(sentence) > _LONGEST:
        sentence = sentence[:_LONGEST] + "…"
    return f"{sentence} ({place})" if place else sentence
