"""A number of things in words."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """Return "1 action", "2 actions", "1,000 actions"; `thing` takes an s where there are several."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
