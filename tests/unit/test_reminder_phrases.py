"""The words of when and repeat: what they mean, to the second, and that nothing is guessed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.event.phrase_error import PhraseError
from plugins.event.repeat import read_repeat
from plugins.event.requests import split_request
from plugins.event.when import When, read_when

ZONE = "Europe/Rome"
NOW_MS = 1_795_196_220_000
"""Friday 2026-11-20 17:37 UTC, 18:37 in Rome."""

WALL = {
    "tomorrow at 9": "2026-11-21T09:00",
    "Tomorrow at 9 AM": "2026-11-21T09:00",
    "tomorrow": "2026-11-21T09:00",
    "tomorrow morning": "2026-11-21T09:00",
    "tomorrow evening": "2026-11-21T19:00",
    "tomorrow at noon": "2026-11-21T12:00",
    "at noon tomorrow": "2026-11-21T12:00",
    "at 8 tomorrow": "2026-11-21T08:00",
    "tomorrow 18:30": "2026-11-21T18:30",
    "tomorrow at 6:30pm": "2026-11-21T18:30",
    "tomorrow at 6 p.m.": "2026-11-21T18:00",
    "tomorrow at 6 in the evening": "2026-11-21T18:00",
    "the day after tomorrow": "2026-11-22T09:00",
    "day after tomorrow at 7": "2026-11-22T07:00",
    "tonight": "2026-11-20T21:00",
    "tonight at 22:00": "2026-11-20T22:00",
    "today at 19:00": "2026-11-20T19:00",
    "at 7pm": "2026-11-20T19:00",
    "19:00": "2026-11-20T19:00",
    "18:30": "2026-11-21T18:30",
    "9 am": "2026-11-21T09:00",
    "at 7": "2026-11-21T07:00",
    "12am": "2026-11-21T00:00",
    "12pm": "2026-11-21T12:00",
    "noon": "2026-11-21T12:00",
    "midnight": "2026-11-21T00:00",
    "friday": "2026-11-27T09:00",
    "friday 18:30": "2026-11-27T18:30",
    "friday 19:30": "2026-11-20T19:30",
    "next friday 19:30": "2026-11-27T19:30",
    "next Friday 18:30": "2026-11-27T18:30",
    "on friday at noon": "2026-11-27T12:00",
    "monday": "2026-11-23T09:00",
    "monday morning": "2026-11-23T09:00",
    "this monday at 8": "2026-11-23T08:00",
    "sun 9pm": "2026-11-22T21:00",
    "thurs at 10": "2026-11-26T10:00",
    "in 2 days at 8": "2026-11-22T08:00",
    "in 3 days": "2026-11-23T18:37",
    "in a week": "2026-11-27T18:37",
    "in two weeks": "2026-12-04T18:37",
    "in a month": "2026-12-20T18:37",
    "in 3 months at noon": "2027-02-20T12:00",
    "in a year": "2027-11-20T18:37",
    "3 days from now": "2026-11-23T18:37",
    "on 3 December at 10:00": "2026-12-03T10:00",
    "3rd of december": "2026-12-03T09:00",
    "the 3rd of december at 7pm": "2026-12-03T19:00",
    "Dec 3": "2026-12-03T09:00",
    "december 24 2027 at 6pm": "2027-12-24T18:00",
    "24 december 2027": "2027-12-24T09:00",
    "nov 1": "2027-11-01T09:00",
    "february 29": "2028-02-29T09:00",
    "on the 25th at 9": "2026-11-25T09:00",
    "on the 15th at 9": "2026-12-15T09:00",
    "end of the month": "2026-11-30T09:00",
    "2026-12-24": "2026-12-24T09:00",
    "2026-12-24 18:00": "2026-12-24T18:00",
    "2026-12-24T18:00:05": "2026-12-24T18:00:05",
    "2026-12-24 at 18:00": "2026-12-24T18:00",
    "tomorrow at 9 Europe/Rome": "2026-11-21T09:00",
}
EXACT = {
    "in 45 minutes": "2026-11-20T18:22",
    "45 minutes": "2026-11-20T18:22",
    "45 minutes from now": "2026-11-20T18:22",
    "in 10 seconds": "2026-11-20T17:37:10",
    "in 90 s": "2026-11-20T17:38:30",
    "in 5m": "2026-11-20T17:42",
    "in an hour": "2026-11-20T18:37",
    "in half an hour": "2026-11-20T18:07",
    "half an hour from now": "2026-11-20T18:07",
    "in 2 hours": "2026-11-20T19:37",
    "in 2 hours and 10 seconds": "2026-11-20T19:37:10",
    "in 1 hour 30 minutes": "2026-11-20T19:07",
    "in 1 hour, 30 minutes": "2026-11-20T19:07",
    "in three hours": "2026-11-20T20:37",
    "in 36 hours": "2026-11-22T05:37",
    "after 5 minutes": "2026-11-20T17:42",
    "1795196229": "2026-11-20T17:37:09",
    "1795196229000": "2026-11-20T17:37:09",
    "2026-12-24T18:00:00Z": "2026-12-24T18:00",
    "2026-12-24T18:00+02:00": "2026-12-24T16:00",
    "2026-12-24 18:00 -0500": "2026-12-24T23:00",
}
REFUSED = (
    *(
        "",
        " ",
        "foo",
        "yesterday",
        "later",
        "soon",
        "next week",
        "sometime",
        "now and then",
        "in",
        "at",
        "tomorrow at",
    ),
    *("03/04/2026", "3.4.2026", "24.12.2026", "12/24", "in -5 minutes", "in 5", "in five", "in 2 fortnights"),
    *("25:00", "at 24:00", "9:75", "at 13pm", "0pm", "february 30", "31 november", "2026-02-30", "2026-13-01"),
    *("2020-01-01", "2020-01-01 09:00", "today at 9", "1000000000", "9999999999", "in 99999 years", "in 101 years"),
    *("2150-01-01", "tomorrow at 9 Mars/Base", "tomorrow tomorrow", "friday monday", "9 9", "at nine-ish"),
    *("in 5 minutes at 9", "every day at 9", "2026-12-24T18:00:00+99:00", "12345", "tomorrow at 9 or 10", "25th"),
    *(
        "9999-12-31 23:59",
        "in 10 minutes please do it",
        "the 45th",
        "99999999999999999999",
        "💥",
        "\x00",
        "in 1e9 days",
    ),
)


@pytest.mark.parametrize(("text", "local"), WALL.items())
def test_times_of_the_wall_clock(text: str, local: str) -> None:
    read = read_when(text, zone=ZONE, now_ms=NOW_MS)
    assert (read.local, read.zone, read.elapsed) == (datetime.fromisoformat(local), ZONE, False)
    assert f"{read.local:%Y-%m-%d %H:%M}" in read.understood


@pytest.mark.parametrize(("text", "utc"), EXACT.items())
def test_delays_and_instants(text: str, utc: str) -> None:
    read = read_when(text, zone=ZONE, now_ms=NOW_MS)
    assert (read.local, read.elapsed) == (datetime.fromisoformat(utc), True)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_clear_is_refused(text: str) -> None:
    with pytest.raises(PhraseError) as refused:
        read_when(text, zone=ZONE, now_ms=NOW_MS)
    assert len(str(refused.value)) < 300


def test_another_zone_may_be_named() -> None:
    read = read_when("tomorrow at 9 asia/tokyo", zone=ZONE, now_ms=NOW_MS)
    assert (read.local, read.zone) == (datetime(2026, 11, 22, 9), "Asia/Tokyo")


REPEATS = {
    "daily at 9": ("FREQ=DAILY", "2026-11-21T09:00"),
    "every day at 8": ("FREQ=DAILY", "2026-11-21T08:00"),
    "each day at 23:00": ("FREQ=DAILY", "2026-11-20T23:00"),
    "at 8 every day": ("FREQ=DAILY", "2026-11-21T08:00"),
    "daily at noon": ("FREQ=DAILY", "2026-11-21T12:00"),
    "every evening": ("FREQ=DAILY", "2026-11-20T19:00"),
    "every other day at 7": ("FREQ=DAILY;INTERVAL=2", "2026-11-21T07:00"),
    "every 3 days at 7": ("FREQ=DAILY;INTERVAL=3", "2026-11-21T07:00"),
    "every weekday at 8": ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "2026-11-23T08:00"),
    "weekdays at 8am": ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "2026-11-23T08:00"),
    "every weekend at 10": ("FREQ=WEEKLY;BYDAY=SA,SU", "2026-11-21T10:00"),
    "every monday and thursday at 18:30": ("FREQ=WEEKLY;BYDAY=MO,TH", "2026-11-23T18:30"),
    "every mon, wed and fri at 7": ("FREQ=WEEKLY;BYDAY=MO,WE,FR", "2026-11-23T07:00"),
    "on tuesdays at 9": ("FREQ=WEEKLY;BYDAY=TU", "2026-11-24T09:00"),
    "every monday morning": ("FREQ=WEEKLY;BYDAY=MO", "2026-11-23T09:00"),
    "weekly on friday at 10": ("FREQ=WEEKLY;BYDAY=FR", "2026-11-27T10:00"),
    "every week on monday, wednesday and friday at 7am": ("FREQ=WEEKLY;BYDAY=MO,WE,FR", "2026-11-23T07:00"),
    "every 2 weeks on friday at 9": ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "2026-11-27T09:00"),
    "monthly on the 31st at 9": ("FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1", "2026-11-30T09:00"),
    "monthly on the 30th at 9": ("FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1", "2026-11-30T09:00"),
    "every month on the 15th at 10": ("FREQ=MONTHLY;BYMONTHDAY=15", "2026-12-15T10:00"),
    "every month on the last day at 10": ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-11-30T10:00"),
    "every 3 months on day 1 at 10:00": ("FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=1", "2026-12-01T10:00"),
    "every last friday of the month at 17:00": ("FREQ=MONTHLY;BYDAY=-1FR", "2026-11-27T17:00"),
    "every first monday at 9": ("FREQ=MONTHLY;BYDAY=1MO", "2026-12-07T09:00"),
    "every second tuesday of the month at 8": ("FREQ=MONTHLY;BYDAY=2TU", "2026-12-08T08:00"),
    "yearly on december 24 at 8": ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", "2026-12-24T08:00"),
    "annually on the 24th of december at 8": ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", "2026-12-24T08:00"),
    "every december 24 at 18:00": ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", "2026-12-24T18:00"),
    "every year on February 29 at 9": ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1", "2027-02-28T09:00"),
    "RRULE:FREQ=DAILY;BYHOUR=9;BYMINUTE=0": ("FREQ=DAILY;BYHOUR=9;BYMINUTE=0", "2026-11-21T09:00"),
}
ELAPSED = {
    "every 2 hours": ("FREQ=HOURLY;INTERVAL=2", "2026-11-20T19:37"),
    "every hour": ("FREQ=HOURLY;INTERVAL=1", "2026-11-20T18:37"),
    "hourly": ("FREQ=HOURLY;INTERVAL=1", "2026-11-20T18:37"),
    "every 30 minutes": ("FREQ=MINUTELY;INTERVAL=30", "2026-11-20T18:07"),
    "every half hour": ("FREQ=MINUTELY;INTERVAL=30", "2026-11-20T18:07"),
    "every 90 seconds": ("FREQ=SECONDLY;INTERVAL=90", "2026-11-20T17:38:30"),
    "every other hour": ("FREQ=HOURLY;INTERVAL=2", "2026-11-20T19:37"),
}
NO_REPEAT = (
    *("", "every", "often", "twice a day", "daily", "weekly", "weekly at 9", "monthly", "monthly at 9", "yearly"),
    *("every monday", "every 0 hours", "every 0 days at 9", "every day at 25:00", "FREQ=FOO", "FREQ=DAILY"),
    *("every second tuesday at 8", "every month on the 32nd at 9", "every february 30 at 9", "every half day"),
    *(
        "every day at 9 at 10",
        "every blue moon",
        "x" * 600,
        "every year on the moon at 9",
        "FREQ=DAILY;BYDAY=XX;BYHOUR=9",
    ),
)


@pytest.mark.parametrize(("text", "means"), REPEATS.items())
def test_repetitions_of_the_wall_clock(text: str, means: tuple[str, str]) -> None:
    read = read_repeat(text, zone=ZONE, now_ms=NOW_MS, start=None)
    assert (read.rule, read.start.local, read.elapsed) == (means[0], datetime.fromisoformat(means[1]), False)


@pytest.mark.parametrize(("text", "means"), ELAPSED.items())
def test_repetitions_of_hours_that_pass(text: str, means: tuple[str, str]) -> None:
    read = read_repeat(text, zone=ZONE, now_ms=NOW_MS, start=None)
    assert (read.rule, read.start.local, read.elapsed) == (means[0], datetime.fromisoformat(means[1]), True)


@pytest.mark.parametrize("text", NO_REPEAT)
def test_no_repetition(text: str) -> None:
    with pytest.raises(PhraseError):
        read_repeat(text, zone=ZONE, now_ms=NOW_MS, start=None)


def test_when_says_where_it_begins() -> None:
    start = read_when("2026-12-01 10:00", zone=ZONE, now_ms=NOW_MS)
    assert read_repeat("weekly", zone=ZONE, now_ms=NOW_MS, start=start).start.local == datetime(2026, 12, 1, 10)
    assert read_repeat("every monday", zone=ZONE, now_ms=NOW_MS, start=start).start.local == datetime(2026, 12, 7, 10)
    with pytest.raises(PhraseError, match="Say it once"):
        read_repeat("daily at 9", zone=ZONE, now_ms=NOW_MS, start=start)
    day = read_when("2026-12-01", zone=ZONE, now_ms=NOW_MS)
    assert read_repeat("daily at 8", zone=ZONE, now_ms=NOW_MS, start=day).start.local == datetime(2026, 12, 1, 8)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("in 10 seconds to stretch", ("in 10 seconds", "stretch")),
        ("me in 5 minutes to go to the shop", ("in 5 minutes", "go to the shop")),
        ("every weekday at 8 to take the pills", ("every weekday at 8", "take the pills")),
        ("tomorrow at 9: call the bank", ("tomorrow at 9", "call the bank")),
        ("at 18:30 that the oven is on", ("at 18:30", "the oven is on")),
        ("to stretch in 10 seconds", ("in 10 seconds", "stretch")),
        ("call Bob tomorrow at 9", ("tomorrow at 9", "call Bob")),
        ("tomorrow at 9 to call Bob at 10", ("tomorrow at 9", "call Bob at 10")),
        ("every day to drink", ("every day", "drink")),
        ("call Bob in room 12", None),
        ("buy milk", None),
        ("", None),
    ],
)
def test_the_words_of_a_request(text: str, split: tuple[str, str] | None) -> None:
    assert split_request(text, zone=ZONE, now_ms=NOW_MS) == split


WORDS = st.sampled_from(
    [
        *("in", "at", "on", "the", "every", "next", "tomorrow", "today", "friday", "monday", "noon", "9", "10", "12"),
        *("45", "minutes", "hours", "days", "2026-12-24", "18:30", "pm", "am", "and", "week", "month", "december"),
        *("3rd", "last", "first", "of", "to", "daily", "weekly", "half", "an", "a", "other", "UTC", "Europe/Rome"),
        *("Z", ",", ":", ".", "-", "/", "99999", "0"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(WORDS, max_size=9).map(" ".join), st.text(max_size=60)))
def test_whatever_is_accepted_is_to_come_and_says_what_it_is(text: str) -> None:
    try:
        read = read_when(text, zone=ZONE, now_ms=NOW_MS)
    except PhraseError:
        pass
    else:
        again = read.local.isoformat() + ("Z" if read.elapsed else "")
        assert read_when(again, zone=read.zone, now_ms=NOW_MS).local == read.local
        if read.elapsed:
            assert read.local.replace(tzinfo=UTC).timestamp() * 1000 >= NOW_MS - 1000
    try:
        repeat = read_repeat(text, zone=ZONE, now_ms=NOW_MS, start=None)
    except PhraseError:
        return
    assert read_repeat(f"RRULE:{repeat.rule}", zone=ZONE, now_ms=NOW_MS, start=repeat.start).rule == repeat.rule


@pytest.mark.parametrize("freq", ["DAILY", "HOURLY", "MINUTELY", "SECONDLY"])
@pytest.mark.parametrize("start", [None, When(local=datetime(2026, 11, 21, 9), zone=ZONE, elapsed=False)])
def test_a_rule_that_never_comes_is_refused_soon(freq: str, start: When | None) -> None:
    # Looked for up to the year 9999, it would hold up everything else for many seconds.
    clock = "" if freq == "SECONDLY" and start else ";BYHOUR=9"
    with pytest.raises(PhraseError, match=r"never comes|FREQ=SECONDLY has no"):
        read_repeat(f"FREQ={freq};BYMONTH=2;BYMONTHDAY=30{clock}", zone=ZONE, now_ms=NOW_MS, start=start)


def test_the_end_of_the_calendar_is_out_of_range() -> None:
    with pytest.raises(PhraseError, match="out of range"):
        read_when("9999-12-31 23:59", zone="America/New_York", now_ms=NOW_MS)
