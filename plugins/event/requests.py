"""Splitting the words of `/remind …` into the time and the text. Pure; English only."""

from __future__ import annotations

import re

from plugins.event.phrase_error import PhraseError
from plugins.event.repeat import read_repeat
from plugins.event.when import read_when

LONGEST_REQUEST = 4000
_BETWEEN = re.compile(r":\s+|\s+(?:to|that)\s+|\s*,\s+", re.IGNORECASE)
_MOST_WORDS = 12
"""A time at the end of a request has no more words than this."""


def split_request(text: str, *, zone: str, now_ms: int) -> tuple[str, str] | None:
    """Return (time, text) of a request; None where no time stands at its beginning or its end.

    "in 10 minutes to stretch", "every weekday at 8: take the pills", "stretch in 10 minutes".
    """
    request = " ".join(text.split())[:LONGEST_REQUEST]
    request = re.sub(r"^me\s+", "", request, flags=re.IGNORECASE)
    for between in _BETWEEN.finditer(request):
        head, tail = request[: between.start()], request[between.end() :]
        if tail and _is_time(head, zone, now_ms):
            return head, re.sub(r"^(?:to|that)\s+", "", tail, flags=re.IGNORECASE)
    parts = request.split(" ")
    for place in range(max(1, len(parts) - _MOST_WORDS), len(parts)):
        head, tail = " ".join(parts[:place]), " ".join(parts[place:])
        # "room 12" and "at 12" differ by the word that begins a time.
        if re.match(r"\d", tail) and not re.search(r":|am\b|pm\b|-", tail, re.IGNORECASE):
            continue
        if _is_time(tail, zone, now_ms):
            return tail, re.sub(r"^(?:to|that)\s+", "", head, flags=re.IGNORECASE).rstrip(",:")
    return None


def _is_time(text: str, zone: str, now_ms: int) -> bool:
    try:
        read_when(text, zone=zone, now_ms=now_ms)
    except PhraseError:
        try:
            read_repeat(text, zone=zone, now_ms=now_ms, start=None)
        except PhraseError as error:
            # A repetition that lacks its time of day is one all the same: it is refused with what it lacks.
            return "does not say" in str(error)
    return True
