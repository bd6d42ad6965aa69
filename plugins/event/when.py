"""Reading `when`: a delay, an exact instant, or a day and a time on the wall clock. Pure; English only.

A grammar of its own, so that nothing is guessed: what it does not know it refuses. A day without a time of day is
09:00; a time of day without a day is the next one; a weekday is the first one to come, "next friday" one after today.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from dateutil.relativedelta import relativedelta

from plugins.event import clock_words as words
from plugins.event.phrase_error import PhraseError

DEFAULT_TIME = time(9)
LONGEST_PHRASE = 200
MOST_YEARS = 100
EXAMPLES = 'Write "in 45 minutes", "tomorrow at 9", "friday 18:30" or "2026-12-24 18:00".'

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[tT ]\s?(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s?(z|Z|[+-]\d\d:?\d\d)?)?")
_ZONE = re.compile(r"\s+\(?([A-Za-z]+(?:/[A-Za-z_+\-0-9]+){1,2}|UTC|GMT)\)?$", re.IGNORECASE)
_SLASHED = re.compile(r"\d{1,4}[/.]\d{1,2}([/.]\d{1,4})?")
_UNNAMED = rf"(?:{words.NUMBER}(?:{words.ELAPSED}|{words.DAYS})\b|half\s+an?\s+hour)"
_PART = re.compile(rf"(?P<n>{words.NUMBER})(?P<unit>{words.ELAPSED}|{words.DAYS})\b|(?P<half>half\s+an?\s+hour)")
_DELAY = re.compile(
    rf"(?:in\s+|after\s+)?(?P<parts>{_UNNAMED}(?:\s*(?:and|,)?\s*{_UNNAMED})*)(?P<end>\s+from\s+now)?(?P<rest>\s+.*)?"
)
_DAY_MONTH = re.compile(rf"(?:the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?({words.MONTH})(?:\s+(\d{{4}}))?")
_MONTH_DAY = re.compile(rf"({words.MONTH})\s+(?:the\s+)?(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+(\d{{4}}))?")
_WEEKDAY = re.compile(rf"(?:(this|next|coming)\s+)?({words.WEEKDAY})")
_OF_MONTH = re.compile(r"the\s+(\d{1,2})(?:st|nd|rd|th)")


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A time that was read. local: naive, of `zone`, or of UTC if `elapsed`. says_time: a time of day was named."""

    local: datetime
    zone: str
    elapsed: bool
    understood: str = ""
    says_time: bool = True


def read_when(text: str, *, zone: str, now_ms: int) -> When:
    """Read a time that is to come, in `zone` unless it names another; raises PhraseError."""
    if len(text) > LONGEST_PHRASE:
        raise PhraseError(f"A time has at most {LONGEST_PHRASE} characters. {EXAMPLES}")
    bare, zone = _zone_of(text.strip(), zone)
    now = _Now(now_ms, zone)
    read = _exact(bare, now) or _iso(bare, now)
    if read is None:
        phrase = " ".join(bare.lower().replace(",", " ").rstrip(".!").split())
        if _SLASHED.fullmatch(phrase.split(" ")[0] if phrase else ""):
            raise PhraseError(f"{text.strip()!r} can be read in two ways. Write the date as 2026-12-24.")
        read = _delay(phrase, now) or _day_and_time(phrase, now)
    if read is None:
        raise PhraseError(f"I do not understand the time {text.strip()[:80]!r}. {EXAMPLES}")
    return _to_come(read, now, text)


class _Now:
    """The present, and what a reading of it needs."""

    def __init__(self, now_ms: int, zone: str) -> None:
        self.zone = zone
        self.tz = ZoneInfo(zone)
        # Rounded up: what is to come in ten seconds comes no sooner.
        self.utc = datetime.fromtimestamp(-(-now_ms // 1000), UTC)
        self.local = self.utc.astimezone(self.tz).replace(tzinfo=None)

    def on_the_wall(self, local: datetime, *, says_time: bool = True) -> When:
        return When(local=local, zone=self.zone, elapsed=False, says_time=says_time)

    def exactly(self, utc: datetime) -> When:
        return When(local=utc.astimezone(UTC).replace(tzinfo=None), zone=self.zone, elapsed=True)


def _zone_of(text: str, zone: str) -> tuple[str, str]:
    """Take a zone off the end of a text."""
    found = _ZONE.search(text)
    if found is None:
        return text, zone
    name = found.group(1)
    known = {known.lower(): known for known in available_timezones()}
    if name.lower() not in known:
        raise PhraseError(f"{name!r} is no time zone. Write one like Europe/Rome.")
    return text[: found.start()], known[name.lower()]


def _exact(text: str, now: _Now) -> When | None:
    if not re.fullmatch(r"\d{10}|\d{13}", text):
        return None
    seconds = int(text) // (1000 if len(text) == 13 else 1)
    return now.exactly(datetime.fromtimestamp(seconds, UTC))


def _iso(text: str, now: _Now) -> When | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    day, clock, offset = found.groups()
    try:
        if clock is None:
            return now.on_the_wall(datetime.combine(date.fromisoformat(day), DEFAULT_TIME), says_time=False)
        read = datetime.fromisoformat(f"{day}T{clock}{(offset or '').upper()}").replace(microsecond=0)
        return now.on_the_wall(read) if read.tzinfo is None else now.exactly(read)
    except (ValueError, OverflowError) as error:
        raise PhraseError(f"{text!r} is no date and time ({error}).") from error


def _delay(phrase: str, now: _Now) -> When | None:
    found = _DELAY.fullmatch(phrase)
    if found is None or not (phrase.startswith(("in ", "after ", "half ")) or found["end"] or not found["rest"]):
        return None
    seconds, calendar = 0, relativedelta()
    for part in _PART.finditer(found["parts"]):
        if part["half"]:
            seconds += 1800
            continue
        count, unit = words.number(part["n"]), part["unit"]
        unit = unit if unit in words.UNITS else unit.rstrip("s")
        if unit in words.ELAPSED_S:
            seconds += count * words.ELAPSED_S[unit]
        else:
            calendar += relativedelta(None, None, **{words.CALENDAR[unit]: count})
    clock = _clock_of(found["rest"] or "")
    if found["rest"] and clock is None:
        return None
    try:
        if not calendar:
            if clock is not None:
                raise PhraseError(f"{phrase!r} says both how long and at what time. Say one of them.")
            return now.exactly(now.utc + timedelta(seconds=seconds))
        day = now.local + calendar
        if clock is not None:
            if seconds:
                raise PhraseError(f"{phrase!r} says both how long and at what time. Say one of them.")
            return now.on_the_wall(datetime.combine(day.date(), clock))
        return now.on_the_wall(day + timedelta(seconds=seconds))
    except (OverflowError, ValueError) as error:
        if isinstance(error, PhraseError):
            raise
        raise PhraseError(f"{phrase!r} is too far away; {MOST_YEARS} years are the most.") from error


def _day_and_time(phrase: str, now: _Now) -> When | None:
    """Read a time, a day, or both in either order."""
    clock = _clock_of(phrase)
    if clock is not None:
        today = datetime.combine(now.local.date(), clock)
        return now.on_the_wall(today if today > now.local else today + timedelta(days=1))
    # Every place where the day may end and the time begin, and the other way round.
    parts = phrase.split(" ")
    for place in range(len(parts), 0, -1):
        head, tail = " ".join(parts[:place]), " ".join(parts[place:])
        for day_text, clock_text in ((head, tail), (tail, head)) if tail else ((head, ""),):
            clock = _clock_of(clock_text) if clock_text else None
            if clock_text and clock is None:
                continue
            read = _day(day_text.removeprefix("on "), clock, now)
            if read is not None:
                return read
    return None


def _clock_of(text: str) -> time | None:
    return words.clock_time(text) if text.strip() else None


def _day(text: str, clock: time | None, now: _Now) -> When | None:
    """Read a day; its time of day is `clock`, or what the words for it say."""
    today = now.local.date()
    at = clock or DEFAULT_TIME
    named = {
        "today": (today, at),
        "tonight": (today, clock or words.NAMED_TIMES["night"]),
        "tomorrow": (today + timedelta(days=1), at),
        "the day after tomorrow": (today + timedelta(days=2), at),
        "day after tomorrow": (today + timedelta(days=2), at),
        "end of the month": (today + relativedelta(day=31), at),
        "the end of the month": (today + relativedelta(day=31), at),
    }
    if text in named:
        day, at = named[text]
        return now.on_the_wall(datetime.combine(day, at), says_time=clock is not None or text == "tonight")
    for word, hour in words.NAMED_TIMES.items():
        if clock is None and text in (f"tomorrow {word}", f"this {word}"):
            day = today + timedelta(days=1 if text.startswith("tomorrow") else 0)
            return now.on_the_wall(datetime.combine(day, hour))
    if _ISO.fullmatch(text) and "t" not in text and ":" not in text:
        try:
            return now.on_the_wall(datetime.combine(date.fromisoformat(text), at), says_time=clock is not None)
        except ValueError as error:
            raise PhraseError(f"{text!r} is no date ({error}).") from error
    found = _weekday(text, at, now) or _date(text, at, now)
    return None if found is None else now.on_the_wall(found, says_time=clock is not None)


def _weekday(text: str, at: time, now: _Now) -> datetime | None:
    found = _WEEKDAY.fullmatch(text)
    if found is None:
        return None
    ahead = (words.weekday(found.group(2)) - now.local.weekday()) % 7
    first = datetime.combine(now.local.date() + timedelta(days=ahead), at)
    passed = first <= now.local or (found.group(1) == "next" and ahead == 0)
    return first + timedelta(days=7) if passed else first


def _date(text: str, at: time, now: _Now) -> datetime | None:
    today = now.local.date()
    if found := _DAY_MONTH.fullmatch(text):
        day, month, year = int(found.group(1)), words.month(found.group(2)), found.group(3)
    elif found := _MONTH_DAY.fullmatch(text):
        month, day, year = words.month(found.group(1)), int(found.group(2)), found.group(3)
    elif found := _OF_MONTH.fullmatch(text):
        this = datetime.combine(words.calendar_day(today.year, today.month, int(found.group(1))), at)
        if this > now.local:
            return this
        later = today + relativedelta(months=1)
        return datetime.combine(words.calendar_day(later.year, later.month, int(found.group(1))), at)
    else:
        return None
    if year is not None:
        return datetime.combine(words.calendar_day(int(year), month, day), at)
    this = datetime.combine(words.calendar_day(_leap(today.year, month, day), month, day), at)
    return (
        this
        if this > now.local
        else datetime.combine(words.calendar_day(_leap(this.year + 1, month, day), month, day), at)
    )


def _leap(year: int, month: int, day: int) -> int:
    """Return the first year from `year` on that has such a day, where that is the 29th of February."""
    if (month, day) != (2, 29):
        return year
    return next(y for y in range(year, year + 9) if y % 4 == 0 and (y % 100 or y % 400 == 0))


def _to_come(read: When, now: _Now, text: str) -> When:
    try:
        instant = read.local.replace(tzinfo=UTC if read.elapsed else now.tz).astimezone(UTC)
        instant.astimezone(now.tz)
    except OverflowError as error:
        raise PhraseError(f"{text.strip()!r} is out of range; {MOST_YEARS} years ahead are the most.") from error
    shown = f"{instant.astimezone(now.tz):%A %Y-%m-%d %H:%M:%S} ({now.zone})"
    if instant < now.utc - timedelta(seconds=1):
        raise PhraseError(f"{text.strip()!r} is {shown}, which is past. Choose a time to come.")
    if instant.year > now.utc.year + MOST_YEARS:
        raise PhraseError(f"{text.strip()!r} is {shown}; {MOST_YEARS} years ahead are the most.")
    return When(local=read.local, zone=read.zone, elapsed=read.elapsed, understood=shown, says_time=read.says_time)
