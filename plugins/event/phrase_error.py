"""The one error of reading times."""

from __future__ import annotations


class PhraseError(ValueError):
    """A time or repetition that is not understood, ambiguous, past or impossible; its text says what to write."""
