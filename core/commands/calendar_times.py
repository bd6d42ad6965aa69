"""The times of iCalendar: dates, wall-clock times of a zone and instants, however their zone is named. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.commands.calendar_file import Component, Line

_FORM = re.compile(r"\d{8}(T\d{6}Z?)?")


class NotCarriedOver(Exception):
    """An entry, or something of it, cannot become a reminder: says why, in a sentence without its subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarTime:
    """local: naive. zone: IANA. instant: `local` is of UTC, and `zone` is for showing. all_day: it is a date."""

    local: datetime
    zone: str
    instant: bool = False
    all_day: bool = False


def is_zone(name: str) -> bool:
    """Whether there is a zone of that IANA name here."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def named_zones(calendars: Iterable[Component]) -> dict[str, str]:
    """Return the IANA name of each zone of a file's own that tells it (X-LIC-LOCATION)."""
    return {
        component.text("TZID"): component.text("X-LIC-LOCATION")
        for calendar in calendars
        for component in calendar.inner
        if component.name == "VTIMEZONE"
    }


def read_time(line: Line, own_zone: str, zones: Mapping[str, str]) -> CalendarTime:
    """Read a DATE or DATE-TIME; one without a zone is of `own_zone`. Raises NotCarriedOver."""
    value = line.value.strip()
    form = _FORM.fullmatch(value)
    try:
        if form is None:
            raise ValueError(value)
        if form[1] is None:
            return CalendarTime(local=datetime.strptime(value, "%Y%m%d"), zone=own_zone, all_day=True)
        local = datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S")
    except ValueError:
        raise NotCarriedOver(f"its time {value[:40]!r} cannot be read") from None
    if value.endswith("Z"):
        return CalendarTime(local=local, zone=own_zone, instant=True)
    named = line.parameters.get("TZID")
    return CalendarTime(local=local, zone=own_zone if named is None else _iana(named, zones))


def _iana(named: str, zones: Mapping[str, str]) -> str:
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    # Some programs put a path of their own before the name, as in /example.org/20070129_1/Europe/Rome.
    parts = named.strip("/").split("/")
    tails = ("/".join(parts[-length:]) for length in (3, 2) if named.startswith("/"))
    for name in (named, zones.get(named, ""), *tails, WINDOWS_TO_OLSON.get(named, "")):
        if name and is_zone(name):
            return name
    raise NotCarriedOver(f"its time zone {named[:60]!r} is not known here: name it as IANA does, like Europe/Rome")
