"""Splitting the words of `/remind …` and "remind me …" into the time and the text. Pure; English only.

The time stands at the beginning, with "to", "that", a colon or a comma behind it, and everything behind that is the
text; or it stands at the end, and then no other word of the text may say a time. What fits neither is not split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from plugins.event.calendar_words import WEEKDAY, WEEKDAYS
from plugins.event.phrase_error import PhraseError, Refusal
from plugins.event.repeat import read_repeat
from plugins.event.when import read_when

_MOST_WORDS = 16
"""A time in front or at the end has no more words than this."""

_ME = re.compile(r"\s*(?:me\s+)?", re.IGNORECASE)
_OPENING = re.compile(r"\s*(?:(?:to|that)\s+)?", re.IGNORECASE)
_BETWEEN = re.compile(r"[:,]\s|\s(?:to|that)\s", re.IGNORECASE)
_WORD = re.compile(r"\S+")
_AT_THE_END = re.compile(
    r"""(?:in|at|on|@|every|each|next|this|today|tonight|tomorrow|the|day|end|later|soon|now|yesterday|last|some\w+
    |daily|weekly|monthly|yearly|annually|hourly|fortnightly|quarterly|weekdays|weekends|biweekly|twice|once
    |[0-9]{1,2}:[0-9]{2}\S*|[0-9]{1,2}(?:[ap]m|[ap]\.m\.)|[0-9]{4}-[0-9]{2}-[0-9]{2}\S*|[0-9]{1,2}(?:st|nd|rd|th)?(?=\s)
    |DAYS|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*(?=\s)|(?:a|an|one|two|three|half)(?=\s.*from\snow))
    (?:\s.*)?""".replace("DAYS", "|".join(f"{day}s?" for day in WEEKDAYS)),
    re.VERBOSE | re.IGNORECASE,
)
"""How a time at the end may begin: "noon", "the sun" and "10 minutes" are too often part of a text."""

_BARE_LENGTH = re.compile(r"[0-9]+\s*[a-z]+(?:\s+[0-9]+\s*[a-z]+)*", re.IGNORECASE)
_HANGING = re.compile(
    r"(?:^|.*\s)(?:a|an|the|and|or|for|from|until|till|by|since|before|after|of|about|between|at|this|next|last|every"
    r"|than|with|not|&|-|–|to)",
    re.IGNORECASE | re.DOTALL,
)
_SAYS_A_TIME = re.compile(
    rf"(?:^|[\s,;(])(?:today|tonight|tomorrow|yesterday|every|each|daily|weekly|monthly|yearly|hourly|"
    rf"{'|'.join(f'{day}s?' for day in WEEKDAYS)}|on\s+{WEEKDAY}|at\s+[0-9]{{1,2}}|[0-9]{{1,2}}:[0-9]{{2}}"
    rf"|[0-9]{{1,2}}\s?[ap]\.?m|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|in\s+(?:[0-9]+|an?|half\s+an)\s*(?:s|m|h|d|w|sec\w*|min\w*"
    rf"|hours?|days?|weeks?|months?|years?))(?=$|[\s,;:.)!?])",
    re.IGNORECASE,
)


def split_request(text: str, *, zone: str = "UTC", now_ms: int = 0) -> tuple[str, str] | None:
    """Return (when or repeat, text) of a request, None where it cannot be split or can be split in two ways.

    A time that read_when or read_repeat refuses for what it says, and not for not being one, is split off too: then
    their error tells why. zone, now_ms: as there.
    """
    request = text[_ME.match(text).end() :].strip()  # type: ignore[union-attr]
    is_time = _Times(zone, now_ms)
    return _time_first(request, is_time) or _time_last(request, is_time)


class _Times:
    """Whether words are about a time."""

    def __init__(self, zone: str, now_ms: int) -> None:
        self._zone = zone
        self._now_ms = now_ms

    def __call__(self, text: str) -> bool:
        try:
            read_when(text, zone=self._zone, now_ms=self._now_ms)
        except PhraseError as error:
            if error.why is not Refusal.UNKNOWN:
                return True
        else:
            return True
        try:
            read_repeat(text, zone=self._zone, now_ms=self._now_ms, start=None)
        except PhraseError as error:
            return error.why is not Refusal.UNKNOWN
        return True


def _time_first(request: str, is_time: _Times) -> tuple[str, str] | None:
    longest: tuple[str, str] | None = None
    for between in _BETWEEN.finditer(request):
        head, rest = request[: between.start()], request[between.end() :]
        if len(head.split()) > _MOST_WORDS:
            break
        rest = rest[_OPENING.match(rest).end() :].strip()  # type: ignore[union-attr]
        if rest and is_time(head):
            longest = (head.strip(), rest)
    # "tomorrow: at 9 call the bank"
    if (
        longest is not None
        and re.match(r"(?:at|in|on|@)\s", longest[1], re.IGNORECASE)
        and _opens(longest[1], is_time)
    ):
        return None
    return longest


def _time_last(request: str, is_time: _Times) -> tuple[str, str] | None:
    starts = [word.start() for word in _WORD.finditer(request)][1:][-_MOST_WORDS:]
    for start in starts:
        tail = request[start:]
        if _AT_THE_END.fullmatch(tail) is None or _BARE_LENGTH.fullmatch(tail) or not is_time(tail):
            continue
        head = request[_OPENING.match(request).end() : start].strip().rstrip(",:;").rstrip()  # type: ignore[union-attr]
        if not head or _HANGING.fullmatch(head) or _SAYS_A_TIME.search(head) or _opens(head, is_time):
            return None
        return tail, head
    return None


def _opens(text: str, is_time: _Times) -> bool:
    """Whether a text begins with a time of its own."""
    return any(is_time(opening) for opening in _openings(text))


def _openings(text: str) -> Iterator[str]:
    for word in list(_WORD.finditer(text[:500]))[:_MOST_WORDS]:
        opening = text[: word.end()]
        if _AT_THE_END.fullmatch(opening) is not None:
            yield opening
