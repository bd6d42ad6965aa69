"""Reading `when`: a delay, an exact instant, or a day and a time on the wall clock. Pure; English only.

A strict grammar, so that nothing is guessed: a text is read when it has one meaning that is to come, and refused with
what was understood otherwise. docs/reminder-times.md has its rules in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from plugins.event.clock_words import PARTS, Clock, in_part, read_clock
from plugins.event.days import Day, read_day
from plugins.event.exact_times import read_exact
from plugins.event.lengths import read_length
from plugins.event.phrase_error import PhraseError, Refusal, shown
from plugins.event.present import Present, When, too_far
from plugins.event.zones import load, offset_at_end, zone_at_end

__all__ = ["EXAMPLES", "LONGEST_PHRASE", "When", "read_when"]

LONGEST_PHRASE = 200
EXAMPLES = 'Write "in 45 minutes", "tomorrow at 9", "friday 18:30" or "2026-12-24 18:00".'

_DELAY = re.compile(r"(?:in|after)\s+(?P<ahead>.+)|(?P<from>.+)\s+from\s+now|(?P<bare>.+)")
_SLASHED = re.compile(r"(?:on\s+)?[0-9]{1,4}[/.-][0-9]{1,2}(?:[/.-][0-9]{1,4})?")
_VAGUE = re.compile(
    r"later|soon|some\s?time|some\s?day|eventually|(?:later|some\s?time|early|late)\s+(?:today|tonight|tomorrow)"
    r"|(?:(?:later\s+|some\s?time\s+|early\s+|late\s+)?(?:this|next|in\s+the\s+next)\s+(?:week|month|year))"
    r"|(?:on\s+|at\s+)?(?:the|this|next)?\s*weekend|in\s+a\s+(?:while|bit|moment|sec|minute\s+or\s+so)"
    r"|in\s+(?:a\s+few|a\s+couple\s+of|some|several)\s+\w+|(?:the\s+)?end\s+of\s+(?:the\s+|this\s+)?(?:day|week|year)"
)
_GONE = re.compile(
    rf"now|right\s+now|yesterday(?:\s+(?:{'|'.join(PARTS)}))?|the\s+day\s+before\s+yesterday|.+\s+ago"
    r"|last\s+(?:night|week|month|year|(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
)


def read_when(text: str, *, zone: str, now_ms: int) -> When:
    """Read a time that is to come, in `zone` unless it names another; raises PhraseError.

    A day without a time of day is 09:00; a time of day without a day is the next one. zone: an IANA name.
    now_ms: the present, UTC milliseconds.
    """
    if len(text) > LONGEST_PHRASE:
        raise PhraseError(f"A time has at most {LONGEST_PHRASE} characters. {EXAMPLES}")
    if not text.strip():
        raise PhraseError(f"It does not say when. {EXAMPLES}")
    bare, named = zone_at_end(text.strip())
    present = Present.at(now_ms, named or zone, load(named or zone))
    exact = read_exact(bare, present)
    if exact is not None:
        return exact
    bare, offset = offset_at_end(bare)
    if offset is not None:
        present = Present.at(now_ms, present.zone, offset, exact=True)
    return _read(simplified(bare), text, present)


def simplified(text: str) -> str:
    """Return a phrase in lower case, without commas and the full stop at its end."""
    return " ".join(text.lower().replace(",", " ").split()).rstrip(".!")


def _read(phrase: str, text: str, present: Present) -> When:
    delay = _delay(phrase, text, present)
    if delay is not None:
        return delay
    read: dict[tuple[datetime, bool], When] = {}
    refused: list[PhraseError] = []
    for day_text, clock_text in cuts(phrase):
        try:
            one = _moment(day_text, clock_text, text, present)
        except PhraseError as error:
            refused.append(error)
            continue
        if one is not None:
            read[one.local, one.elapsed] = one
    if len(read) > 1:
        either = " or ".join(when.understood for when in read.values())
        raise PhraseError(f"{shown(text)} may be {either}. Write which.", Refusal.AMBIGUOUS)
    if read:
        return next(iter(read.values()))
    if refused:
        raise refused[0]
    raise _not_read(phrase, text)


def cuts(phrase: str) -> Iterator[tuple[str, str]]:
    """Yield every way to take a phrase for (a day, a time of day), in this order and the other; either may be ""."""
    parts = phrase.split(" ")
    for place in range(len(parts) + 1):
        head, tail = " ".join(parts[:place]), " ".join(parts[place:])
        yield head, tail
        if head and tail:
            yield tail, head


def _delay(phrase: str, text: str, present: Present) -> When | None:
    found = _DELAY.fullmatch(phrase)
    length = None if found is None else read_length(found["ahead"] or found["from"] or found["bare"])
    if length is None:
        return None
    if not length.is_calendar and not length.seconds:
        raise PhraseError(f"{shown(text)} is now. Choose a time to come.", Refusal.PAST)
    try:
        local = present.local + length.calendar
        if not length.is_calendar:
            return present.exactly(present.utc + timedelta(seconds=length.seconds), text)
        if not length.seconds:
            return present.on_the_wall(local, text, says_time=False)
        # As RFC 5545 has it for durations: the days by the calendar, then the hours as they pass.
        day = present.on_the_wall(local, text, says_time=True)
        utc = day.local.replace(tzinfo=UTC) if day.elapsed else present.instant(day.local)
        return present.exactly(utc + timedelta(seconds=length.seconds), text)
    except (OverflowError, ValueError) as error:
        if isinstance(error, PhraseError):
            raise
        raise too_far(text) from error


def _moment(day_text: str, clock_text: str, text: str, present: Present) -> When | None:
    """Read a day, a time of day, or both; None when a part is none of them."""
    clock = read_clock(clock_text) if clock_text else None
    now = present.local
    if clock_text and clock is None:
        if day_text and re.fullmatch("1?[0-9]|2[0-3]", clock_text) and read_day(day_text, now):
            raise PhraseError(
                f"{shown(text)}: {clock_text} may be a time or a day. "
                f'Write "{day_text} at {clock_text}", or the date as 2026-12-24.',
                Refusal.AMBIGUOUS,
            )
        return None
    if not day_text:
        today = now.date()
        day: Day | None = Day(dates=tuple(today + timedelta(days=n) for n in range(3)))
    else:
        day = read_day(day_text, now)
    if day is None:
        return None
    if day_text and clock is not None and clock.midnight and not day.tonight:
        raise PhraseError(
            f"{shown(text)} may be where that day begins or where it ends. "
            "Write 00:00 with the day that begins, or 23:59 with the one that ends.",
            Refusal.AMBIGUOUS,
        )
    days, at = _time_of(day, clock)
    says_time = clock is not None or day.part is not None
    local = [datetime.combine(each, at) for each in days]
    chosen = next((each for each in local if present.is_to_come(each)), local[-1])
    return present.on_the_wall(chosen, text, says_time=says_time)


def _time_of(day: Day, clock: Clock | None) -> tuple[tuple[date, ...], time]:
    """Return the days and the time of day that a day and a clock mean together."""
    part = day.part or (clock.part if clock else None)
    if clock is None:
        return day.dates, PARTS[part].default if part else day.at
    if day.part and clock.part and day.part != clock.part:
        raise PhraseError(
            f"It is said to be in the {day.part} and in the {clock.part}. Write one.", Refusal.AMBIGUOUS
        )
    if part is None:
        return day.dates, clock.at
    # "tonight at 12", "tonight at midnight": the end of this night.
    if day.tonight and (clock.at == time(0) or (clock.at == time(12) and not clock.sure)):
        return tuple(each + timedelta(days=1) for each in day.dates), time(0)
    return day.dates, in_part(clock, part)


def _not_read(phrase: str, text: str) -> PhraseError:
    """Return the error for what is no time: with what it may have been meant as, where that can be told."""
    for head, tail in cuts(phrase):
        if head and (not tail or _is_clock(tail)):
            if tail and (ahead := _DELAY.fullmatch(head)) and read_length(ahead["ahead"] or ahead["from"] or ""):
                return PhraseError(
                    f"{shown(text)} says both how long and at what time. Write one.", Refusal.AMBIGUOUS
                )
            if _GONE.fullmatch(head):
                return PhraseError(f"{shown(text)} is past. {EXAMPLES}", Refusal.PAST)
            if _VAGUE.fullmatch(head):
                return PhraseError(f"{shown(text)} does not say exactly when. {EXAMPLES}", Refusal.AMBIGUOUS)
            if _SLASHED.fullmatch(head):
                return PhraseError(
                    f"{shown(text)} can be read in more than one way. Write a day as 2026-12-24, a time as 18:30.",
                    Refusal.AMBIGUOUS,
                )
    return PhraseError(f"{shown(text)} is not understood as a time. {EXAMPLES}")


def _is_clock(text: str) -> bool:
    try:
        return read_clock(text) is not None
    except PhraseError:
        return True
