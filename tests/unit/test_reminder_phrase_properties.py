"""Whatever is read of when and repeat is to come and reads back the same; whatever is not raises its own error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugins.event.phrase_error import PhraseError
from plugins.event.present import When
from plugins.event.repeat import read_repeat
from plugins.event.requests import split_request
from plugins.event.when import read_when

ZONES = st.sampled_from(
    [
        *("UTC", "Europe/Rome", "America/New_York", "America/Santiago", "Asia/Kathmandu", "Australia/Lord_Howe"),
        *("Pacific/Apia", "Pacific/Kiritimati", "Africa/Casablanca", "America/St_Johns", "Europe/Dublin", "EST"),
    ]
)
PRESENTS = st.integers(1_577_836_800_000, 4_102_444_800_000)
"""2020 to 2100, in milliseconds."""

WORDS = st.sampled_from(
    [
        *("in", "at", "on", "the", "every", "next", "this", "tomorrow", "today", "tonight", "friday", "mon", "noon"),
        *("midnight", "morning", "in the evening", "night", "9", "10", "12", "31st", "29", "45", "minutes", "hours"),
        *("days", "weeks", "month", "year", "2026-12-24", "2028-02-29", "2027-03-28T02:30", "18:30", "02:30", "pm"),
        *("am", "and", "december", "feb", "3rd", "last", "first", "of", "to", "that", "daily", "weekly", "monthly"),
        *("yearly", "weekday", "weekdays", "half", "an", "a", "other", "half an hour", "end of the month", "UTC"),
        *("Europe/Rome", "Z", "+02:00", ",", ":", ".", "-", "/", "99999", "0", "second", "ago", "from now", "later"),
        *("day after tomorrow", "every day", "every 2", "call Bob", "FREQ=DAILY;BYHOUR=9", "FREQ=MONTHLY", ";"),
    ]
)
PHRASES = st.one_of(st.lists(WORDS, max_size=9).map(" ".join), st.text(max_size=80))

RULES = st.builds(
    lambda freq, parts: ";".join([f"FREQ={freq}", *(f"{name}={value}" for name, value in parts.items())]),
    st.sampled_from(["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
    st.dictionaries(
        st.sampled_from(
            [
                *("INTERVAL", "COUNT", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYHOUR", "BYMINUTE"),
                *("BYSECOND", "BYSETPOS", "BYDAY", "WKST"),
            ]
        ),
        st.sampled_from(["1", "2", "2,29", "9", "9,18", "30", "31", "-1", "53", "366", "MO", "MO,FR", "1MO", "-1FR"]),
        max_size=5,
    ),
)


def _instant(when: When) -> datetime:
    """Return its instant in UTC; of a time in a gap, some instant after the gap."""
    return when.local.replace(tzinfo=UTC if when.elapsed else ZoneInfo(when.zone)).astimezone(UTC)


def _now(now_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now_ms)


@settings(max_examples=600, deadline=None)
@given(PHRASES, ZONES, PRESENTS)
@example("Friday 2026-11-20 02:30 (EST)", "UTC", 1_577_836_800_000)
def test_a_time_that_is_read_is_to_come_and_stays_the_same(text: str, zone: str, now_ms: int) -> None:
    try:
        read = read_when(text, zone=zone, now_ms=now_ms)
    except PhraseError:
        return
    assert _now(now_ms) < _instant(read) < _now(now_ms) + timedelta(days=366 * 100)
    assert read.local.tzinfo is None
    assert read.local.microsecond == 0
    iso = read.local.isoformat() + ("Z" if read.elapsed else "")
    for same in (iso, read.understood):
        again = read_when(same, zone=read.zone, now_ms=now_ms)
        assert (again.local, again.zone, again.elapsed) == (read.local, read.zone, read.elapsed)


@settings(max_examples=600, deadline=None)
@given(
    st.one_of(PHRASES, RULES), ZONES, PRESENTS, st.none() | st.sampled_from(["tomorrow", "in 3 days", "at 9", "Z"])
)
def test_a_repetition_that_is_read_begins_with_what_is_to_come(
    text: str, zone: str, now_ms: int, when: str | None
) -> None:
    try:
        start = None if when is None else read_when(when, zone=zone, now_ms=now_ms)
        read = read_repeat(text, zone=zone, now_ms=now_ms, start=start)
    except PhraseError:
        return
    assert _instant(read.start) > _now(now_ms)
    assert read.elapsed == read.start.elapsed
    # By another reading of the rule: its start is an occurrence.
    bare = ";".join(part for part in read.rule.split(";") if not part.startswith("UNTIL"))
    assert next(iter(rrulestr(bare, dtstart=read.start.local))) == read.start.local
    again = read_repeat(read.understood, zone=read.start.zone, now_ms=now_ms, start=None)
    assert (again.rule, again.start.local, again.elapsed) == (read.rule, read.start.local, read.elapsed)
    again = read_repeat(f"RRULE:{read.rule}", zone=read.start.zone, now_ms=now_ms, start=read.start)
    assert (again.rule, again.start.local) == (read.rule, read.start.local)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(WORDS, max_size=20).map(" ".join), st.text(max_size=200)))
def test_a_split_keeps_every_word_of_the_text(text: str) -> None:
    split = split_request(text)
    if split is not None:
        when, rest = split
        assert when
        assert rest
        assert when in text
        assert rest in text


LONG = st.one_of(
    st.text(min_size=1_000, max_size=10_000),
    st.builds(lambda word, times: (word * times)[:10_000], st.text(min_size=1, max_size=20), st.just(10_000)),
    st.builds(lambda word, times: (f"{word} " * times)[:10_000], WORDS, st.just(5_000)),
    st.builds(lambda words: " ".join(words * 200)[:10_000], st.lists(WORDS, min_size=1, max_size=12)),
)


@settings(max_examples=60, deadline=None)
@given(LONG)
def test_long_texts_raise_nothing_else(text: str) -> None:
    for part in (text, text[:700], text[:500], text[:200]):
        for read in (
            lambda words: read_when(words, zone="Europe/Rome", now_ms=1_795_196_220_000),
            lambda words: read_repeat(words, zone="Europe/Rome", now_ms=1_795_196_220_000, start=None),
        ):
            refusal = ""
            try:
                read(part)
            except PhraseError as error:
                refusal = str(error)
            assert len(refusal) < 400
    split_request(text)
