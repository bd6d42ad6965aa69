"""The one error of reading times."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """Why words were refused. All but UNKNOWN mean that they were understood to be about a time."""

    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"
    INCOMPLETE = "incomplete"
    IMPOSSIBLE = "impossible"
    PAST = "past"
    FAR = "far"


class PhraseError(ValueError):
    """A time or repetition that is not read; its text is what was understood and what to write instead."""

    def __init__(self, message: str, why: Refusal = Refusal.UNKNOWN) -> None:
        super().__init__(message)
        self.why = why


SHOWN = 80


def shown(text: str) -> str:
    """Return a text in quotes, shortened, for an error."""
    text = " ".join(text.split())
    return f'"{text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"}"'
