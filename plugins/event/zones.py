"""Zones in words: an IANA name, UTC, or an offset at the end of a time. Pure."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from plugins.event.phrase_error import PhraseError, Refusal, shown

WRITE_A_ZONE = "Write a zone like Europe/Rome, or UTC."
_NAME = re.compile(
    r"\s+(?P<open>\()?(?:in\s+)?(?P<name>[a-z_]+(?:/[a-z0-9_+-]+){1,2}|utc|gmt|(?(open)[a-z0-9_+-]+|utc))(?(open)\))$",
    re.IGNORECASE,
)
_OFFSET = re.compile(r"(?:(?<=:[0-9]{2})\s*|(?<=[ap]m)\s*|\s+)(?P<offset>z|[+-][0-9]{2}:?[0-9]{2})$", re.IGNORECASE)
_ABBREVIATION = re.compile(
    r"\s(?:[ecmp][sd]t|cet|cest|west|eest|eet|wet|bst|ist|jst|aest|utc[+-]\d+)$", re.IGNORECASE
)
_MOST_OFFSET = timedelta(hours=14)


def zone_at_end(text: str) -> tuple[str, str | None]:
    """Take the name of a zone off the end of a text; raises PhraseError for one that there is not."""
    found = _NAME.search(text)
    if found is None:
        if _ABBREVIATION.search(text):
            raise PhraseError(f"The zone of {shown(text)} stands for several. {WRITE_A_ZONE}")
        return text, None
    known = _names().get(found["name"].lower())
    if known is None:
        raise PhraseError(f"{shown(found['name'])} is no time zone. {WRITE_A_ZONE}")
    return text[: found.start()], known


def offset_at_end(text: str) -> tuple[str, tzinfo | None]:
    """Take "Z" or an offset such as +02:00 off the end of a time; raises PhraseError for one that there is not."""
    found = _OFFSET.search(text)
    if found is None:
        return text, None
    return text[: found.start()], read_offset(found["offset"])


def read_offset(text: str) -> tzinfo:
    """Return what "Z", "+02:00" or "-0530" stand for; raises PhraseError."""
    if text in ("z", "Z"):
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    length = timedelta(hours=hours, minutes=minutes)
    if length > _MOST_OFFSET or minutes > 59:
        raise PhraseError(f"{shown(text)} is no offset from UTC. {WRITE_A_ZONE}", Refusal.IMPOSSIBLE)
    return timezone(-length if text[0] == "-" else length)


def load(zone: str) -> ZoneInfo:
    """Return a zone by name; raises PhraseError where there is none."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise PhraseError(f"{shown(zone)} is no time zone. {WRITE_A_ZONE}", Refusal.IMPOSSIBLE) from error


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """The names of all zones by their lower case: reading the list walks hundreds of files."""
    return {name.lower(): name for name in available_timezones()}
