"""Times that are written for machines: ISO 8601 and Unix times. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from plugins.event.days import DEFAULT_TIME
from plugins.event.phrase_error import PhraseError, Refusal, shown
from plugins.event.present import Present, When
from plugins.event.zones import read_offset

_ISO = re.compile(
    r"(?:(?P<weekday>[A-Za-z]{6,9}),?\s+)?(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:(?:[tT]|\s+)(?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,][0-9]{1,9})?\s*(?P<offset>[zZ]|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_BASIC = re.compile(r"(?P<day>[0-9]{8})[tT](?P<clock>[0-9]{4}(?:[0-9]{2})?)(?P<offset>[zZ]|[+-][0-9]{4})?")
_UNIX = re.compile(r"[0-9]{10}|[0-9]{13}")


def read_exact(text: str, present: Present) -> When | None:
    """Return the time that ISO 8601 or a Unix time says, None for another text; raises PhraseError.

    Parts of a second are dropped. A date alone is that day's `DEFAULT_TIME`. A Unix time has ten digits, in seconds,
    or thirteen, in milliseconds.
    """
    if _UNIX.fullmatch(text):
        return present.exactly(datetime.fromtimestamp(int(text[:10]), UTC), text)
    found = _ISO.fullmatch(text) or _BASIC.fullmatch(text)
    if found is None:
        return None
    try:
        day = date.fromisoformat(found["day"])
        read = datetime.fromisoformat(f"{found['day']}T{found['clock'] or DEFAULT_TIME.isoformat()}")
    except ValueError as error:
        raise PhraseError(
            f"{shown(text)} is no date and time: {error}. Write it like 2026-12-24T18:00.", Refusal.IMPOSSIBLE
        ) from error
    weekday = found.groupdict().get("weekday")
    if weekday is not None and weekday.lower() != f"{day:%A}".lower():
        if f"{weekday.lower()}" not in {f"{date(2024, 1, n):%A}".lower() for n in range(1, 8)}:
            return None
        raise PhraseError(f"{shown(text)}: {day} is a {day:%A}. Write the date alone.", Refusal.IMPOSSIBLE)
    if found["offset"]:
        return present.exactly(read.replace(tzinfo=read_offset(found["offset"])), text)
    return present.on_the_wall(read, text, says_time=found["clock"] is not None)
