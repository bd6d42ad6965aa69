"""The words of `when`: what they mean, to the second, and that nothing is guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from plugins.event.phrase_error import PhraseError, Refusal
from plugins.event.when import read_when

ROME = "Europe/Rome"
NOW = "2026-11-20T18:37"
"""A friday, in Rome."""


def ms(local: str, zone: str = ROME, fold: int = 0) -> int:
    there = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(there.timestamp() * 1000)


WALL = {
    # a day and a time
    "tomorrow at 9": "2026-11-21T09:00",
    "Tomorrow at 9 AM": "2026-11-21T09:00",
    "tomorrow, at 9.": "2026-11-21T09:00",
    "  tomorrow   at\u202f9 ": "2026-11-21T09:00",
    "at 8 tomorrow": "2026-11-21T08:00",
    "8am tomorrow": "2026-11-21T08:00",
    "tomorrow 18:30": "2026-11-21T18:30",
    "tomorrow at 18:30:15": "2026-11-21T18:30:15",
    "tomorrow at 6:30pm": "2026-11-21T18:30",
    "tomorrow at 6 p.m.": "2026-11-21T18:00",
    "tomorrow at nine": "2026-11-21T09:00",
    "tomorrow at 9 o'clock": "2026-11-21T09:00",
    "tomorrow at half past 7": "2026-11-21T07:30",
    "tomorrow at quarter to 8": "2026-11-21T07:45",
    "tomorrow at a quarter past 8 in the evening": "2026-11-21T20:15",
    "tomorrow at noon": "2026-11-21T12:00",
    "at noon tomorrow": "2026-11-21T12:00",
    "tomorrow at 12": "2026-11-21T12:00",
    "tomorrow at 12am": "2026-11-21T00:00",
    "tomorrow 00:00": "2026-11-21T00:00",
    "today at 19:00": "2026-11-20T19:00",
    "the day after tomorrow": "2026-11-22T09:00",
    "day after tomorrow at 7": "2026-11-22T07:00",
    # a day alone, parts of the day
    "tomorrow": "2026-11-21T09:00",
    "tomorrow morning": "2026-11-21T09:00",
    "tomorrow afternoon": "2026-11-21T15:00",
    "tomorrow evening": "2026-11-21T19:00",
    "tomorrow night": "2026-11-21T21:00",
    "tomorrow in the evening": "2026-11-21T19:00",
    "tomorrow morning at 7": "2026-11-21T07:00",
    "tomorrow evening at 7": "2026-11-21T19:00",
    "at 7 tomorrow evening": "2026-11-21T19:00",
    "tomorrow at 6 in the evening": "2026-11-21T18:00",
    "tomorrow at 10 at night": "2026-11-21T22:00",
    "this evening": "2026-11-20T19:00",
    "this evening at 8": "2026-11-20T20:00",
    "tonight": "2026-11-20T21:00",
    "tonight at 9": "2026-11-20T21:00",
    "tonight at 22:00": "2026-11-20T22:00",
    "at 10 tonight": "2026-11-20T22:00",
    "tonight at midnight": "2026-11-21T00:00",
    "tonight at 12": "2026-11-21T00:00",
    "in the morning": "2026-11-21T09:00",
    "monday morning": "2026-11-23T09:00",
    "friday night at 11": "2026-11-20T23:00",
    # a time alone
    "at 7pm": "2026-11-20T19:00",
    "7 pm": "2026-11-20T19:00",
    "19:00": "2026-11-20T19:00",
    "18:30": "2026-11-21T18:30",
    "18:37": "2026-11-21T18:37",
    "18:38": "2026-11-20T18:38",
    "9 am": "2026-11-21T09:00",
    "at 7": "2026-11-21T07:00",
    "at 9 in the morning": "2026-11-21T09:00",
    "12am": "2026-11-21T00:00",
    "12pm": "2026-11-21T12:00",
    "noon": "2026-11-21T12:00",
    "midnight": "2026-11-21T00:00",
    # weekdays
    "friday": "2026-11-27T09:00",
    "friday at noon": "2026-11-27T12:00",
    "friday 18:30": "2026-11-27T18:30",
    "friday 19:30": "2026-11-20T19:30",
    "this friday at 19:30": "2026-11-20T19:30",
    "next friday 19:30": "2026-11-27T19:30",
    "next Friday 18:30": "2026-11-27T18:30",
    "next monday": "2026-11-23T09:00",
    "on friday at noon": "2026-11-27T12:00",
    "monday": "2026-11-23T09:00",
    "coming monday at 8": "2026-11-23T08:00",
    "this monday at 8": "2026-11-23T08:00",
    "sun 9pm": "2026-11-22T21:00",
    "thurs at 10": "2026-11-26T10:00",
    # calendar lengths
    "in 2 days at 8": "2026-11-22T08:00",
    "2 days from now at 8": "2026-11-22T08:00",
    "at 8 in 2 days": "2026-11-22T08:00",
    "in 2 days in the evening": "2026-11-22T19:00",
    "in 3 days": "2026-11-23T18:37",
    "in 1 day": "2026-11-21T18:37",
    "in a week": "2026-11-27T18:37",
    "in two weeks": "2026-12-04T18:37",
    "in 2w": "2026-12-04T18:37",
    "in a month": "2026-12-20T18:37",
    "in 1 month and 2 days": "2026-12-22T18:37",
    "in 3 months at noon": "2027-02-20T12:00",
    "in a year": "2027-11-20T18:37",
    "3 days from now": "2026-11-23T18:37",
    # dates
    "on 3 December at 10:00": "2026-12-03T10:00",
    "3rd of december": "2026-12-03T09:00",
    "the 3rd of december at 7pm": "2026-12-03T19:00",
    "Dec 3": "2026-12-03T09:00",
    "dec. 3, 10:00": "2026-12-03T10:00",
    "december 24 2027 at 6pm": "2027-12-24T18:00",
    "24 december 2027": "2027-12-24T09:00",
    "thursday, december 24": "2026-12-24T09:00",
    "Nov 20 at 20:00": "2026-11-20T20:00",
    "nov 1": "2027-11-01T09:00",
    "february 29": "2028-02-29T09:00",
    "on the 25th at 9": "2026-11-25T09:00",
    "on the 15th at 9": "2026-12-15T09:00",
    "the 20th at 9": "2026-12-20T09:00",
    "end of the month": "2026-11-30T09:00",
    "the last day of the month at 17:00": "2026-11-30T17:00",
    # ISO 8601
    "2026-12-24": "2026-12-24T09:00",
    "2026-12-24 18:00": "2026-12-24T18:00",
    "2026-12-24T18:00:05": "2026-12-24T18:00:05",
    "2026-12-24T18:00:05.250": "2026-12-24T18:00:05",
    "20261224T1800": "2026-12-24T18:00",
    "2026-12-24 at 6pm": "2026-12-24T18:00",
    "2026-12-24 evening": "2026-12-24T19:00",
    "Thursday 2026-12-24 18:00": "2026-12-24T18:00",
    "tomorrow at 9 Europe/Rome": "2026-11-21T09:00",
    "tomorrow at 9 (europe/rome)": "2026-11-21T09:00",
}
EXACT = {
    "in 45 minutes": "2026-11-20T18:22",
    "45 minutes": "2026-11-20T18:22",
    "45 minutes from now": "2026-11-20T18:22",
    "in 10 seconds": "2026-11-20T17:37:10",
    "in 90 s": "2026-11-20T17:38:30",
    "in 5m": "2026-11-20T17:42",
    "in an hour": "2026-11-20T18:37",
    "an hour from now": "2026-11-20T18:37",
    "in half an hour": "2026-11-20T18:07",
    "half an hour from now": "2026-11-20T18:07",
    "in a quarter of an hour": "2026-11-20T17:52",
    "in an hour and a half": "2026-11-20T19:07",
    "in 1.5 hours": "2026-11-20T19:07",
    "in 2 hours": "2026-11-20T19:37",
    "in 2 hours and 10 seconds": "2026-11-20T19:37:10",
    "in 1 hour 30 minutes": "2026-11-20T19:07",
    "in 1 hour, 30 minutes": "2026-11-20T19:07",
    "in 1h30m": "2026-11-20T19:07",
    "in three hours": "2026-11-20T20:37",
    "in 36 hours": "2026-11-22T05:37",
    "in 1 day and 2 hours": "2026-11-21T19:37",
    "after 5 minutes": "2026-11-20T17:42",
    "1795196229": "2026-11-20T17:37:09",
    "1795196229999": "2026-11-20T17:37:09",
    "2026-12-24T18:00:00Z": "2026-12-24T18:00",
    "2026-12-24T18:00:00.000Z": "2026-12-24T18:00",
    "20261224T180000Z": "2026-12-24T18:00",
    "2026-12-24T18:00+02:00": "2026-12-24T16:00",
    "2026-12-24 18:00 -0500": "2026-12-24T23:00",
    "tomorrow at 9:00Z": "2026-11-21T09:00",
    "tomorrow at 9 +02:00": "2026-11-21T07:00",
    "9pm -05:00": "2026-11-21T02:00",
}
UNKNOWN, AMBIGUOUS = Refusal.UNKNOWN, Refusal.AMBIGUOUS
IMPOSSIBLE, PAST, FAR = Refusal.IMPOSSIBLE, Refusal.PAST, Refusal.FAR
REFUSED = {
    **dict.fromkeys(("", " ", "foo", "now and then", "in", "at", "tomorrow at", "9", "25th", "12345"), UNKNOWN),
    **dict.fromkeys(("in -5 minutes", "in 5", "in five", "in 2 fortnights", "in 1e9 days", "at nine-ish"), UNKNOWN),
    **dict.fromkeys(("tomorrow tomorrow", "friday monday", "monday or tuesday", "9 9", "may", "2026"), UNKNOWN),
    **dict.fromkeys(("every day at 9", "tomorrow at 9 or 10", "in 10 minutes please do it", "at 9 at 10"), UNKNOWN),
    **dict.fromkeys(("9am in Tokyo", "tomorrow at 9 Mars/Base", "tomorrow at 9 EST", "noon CET"), UNKNOWN),
    **dict.fromkeys(("💥", "\x00", "९ am", "at ²", "99999999999999999999", "x" * 201), UNKNOWN),
    **dict.fromkeys(("in 2 hours and 3 hours", "in 5 minutes and", "in 2 minutes 5", "dec 3 26"), UNKNOWN),
    **dict.fromkeys(("03/04/2026", "3.4.2026", "24.12.2026", "12/24", "3/4 at 9", "2026/12/24", "9.30"), AMBIGUOUS),
    **dict.fromkeys(
        ("later", "soon", "sometime", "next week", "next month", "this weekend", "later today"), AMBIGUOUS
    ),
    **dict.fromkeys(("in a few minutes", "in a while", "end of the week", "next week at 9"), AMBIGUOUS),
    **dict.fromkeys(("friday 9", "friday at midnight", "midnight tomorrow", "at 24:00", "tonight at 1"), AMBIGUOUS),
    **dict.fromkeys(("tomorrow morning at 15:00", "tonight at 9am", "in 5 minutes at 9"), AMBIGUOUS),
    **dict.fromkeys(("25:00", "9:75", "at 13pm", "0pm", "at 25", "tomorrow at 26:00"), IMPOSSIBLE),
    **dict.fromkeys(("february 30", "31 november", "2026-02-30", "2026-13-01", "2027-02-29", "the 45th"), IMPOSSIBLE),
    **dict.fromkeys(("2026-12-24T25:00", "20261324T1800", "2026-12-24T18:00:00+99:00", "on the 31st"), IMPOSSIBLE),
    **dict.fromkeys(("friday 2026-12-24", "friday 2026-12-24 18:00", "monday 3 december"), IMPOSSIBLE),
    **dict.fromkeys(("yesterday", "yesterday at 9", "last friday", "2 days ago", "now", "in 0 minutes"), PAST),
    **dict.fromkeys(("2020-01-01", "2020-01-01 09:00", "today at 9", "today", "this morning", "1000000000"), PAST),
    **dict.fromkeys(("Nov 20 at 9", "this friday at 18:00", "2026-11-20T18:37", "0001-01-01", "1 dec 2025"), PAST),
    **dict.fromkeys(("2150-01-01", "9999-12-31 23:59", "9999999999", "9999999999999", "in 99999 years"), FAR),
    **dict.fromkeys(("in 101 years", "in 999999 months", "in 999999 hours", "dec 3 2200"), FAR),
}
"""999999 hours are 114 years."""


@pytest.mark.parametrize(("text", "local"), WALL.items())
def test_times_of_the_wall_clock(text: str, local: str) -> None:
    read = read_when(text, zone=ROME, now_ms=ms(NOW))
    assert (read.local, read.zone, read.elapsed) == (datetime.fromisoformat(local), ROME, False)
    assert f"{read.local:%A %Y-%m-%d %H:%M}" in read.understood


@pytest.mark.parametrize(("text", "utc"), EXACT.items())
def test_delays_and_instants(text: str, utc: str) -> None:
    read = read_when(text, zone=ROME, now_ms=ms(NOW))
    assert (read.local, read.zone, read.elapsed) == (datetime.fromisoformat(utc), ROME, True)


@pytest.mark.parametrize(("text", "why"), REFUSED.items())
def test_what_is_not_clear_is_refused(text: str, why: Refusal) -> None:
    with pytest.raises(PhraseError) as refused:
        read_when(text, zone=ROME, now_ms=ms(NOW))
    assert refused.value.why is why
    assert len(str(refused.value)) < 300
    assert str(refused.value).endswith(".")


def test_a_refusal_says_what_was_understood() -> None:
    with pytest.raises(PhraseError, match=r'"today at 9" is Friday 2026-11-20 09:00 \(Europe/Rome\), which is past'):
        read_when("today at 9", zone=ROME, now_ms=ms(NOW))


@pytest.mark.parametrize(
    ("now", "zone", "text", "local"),
    [
        ("2026-11-20T18:37", "Asia/Tokyo", "tomorrow at 9", "2026-11-21T09:00"),
        ("2026-11-20T00:10", "Asia/Tokyo", "tonight at 9", "2026-11-20T21:00"),
        ("2026-11-20T00:10", "Asia/Tokyo", "in the morning", "2026-11-20T09:00"),
        ("2026-11-20T08:00", "Asia/Kathmandu", "friday", "2026-11-20T09:00"),
        ("2026-11-19T08:00", "Asia/Kathmandu", "next friday", "2026-11-20T09:00"),
        ("2026-12-31T23:59", "America/New_York", "tomorrow", "2027-01-01T09:00"),
        ("2027-01-31T10:00", "America/New_York", "in a month", "2027-02-28T10:00"),
        ("2028-01-31T10:00", "America/New_York", "in a month", "2028-02-29T10:00"),
        ("2028-02-29T10:00", "America/New_York", "in a year", "2029-02-28T10:00"),
        ("2027-01-30T10:00", "America/New_York", "end of the month", "2027-01-31T09:00"),
        ("2027-01-31T10:00", "America/New_York", "the 5th", "2027-02-05T09:00"),
        ("2028-02-29T10:00", "UTC", "february 29 at 12:00", "2028-02-29T12:00"),
        ("2096-03-01T10:00", "UTC", "february 29", "2104-02-29T09:00"),
        # The clock jumps from 2 to 3: the time is kept as it was said, and comes at 3.
        ("2027-03-28T01:30", ROME, "at 2:30", "2027-03-28T02:30"),
        ("2027-03-27T12:00", ROME, "tomorrow at 2:30", "2027-03-28T02:30"),
        ("2027-03-28T03:00", ROME, "at 2:30", "2027-03-29T02:30"),
        ("2027-03-27T02:30", ROME, "in 1 day", "2027-03-28T02:30"),
        ("2027-03-27T23:00", ROME, "in 1 day", "2027-03-28T23:00"),
        # Where midnight does not exist.
        ("2026-09-05T20:00", "America/Santiago", "midnight", "2026-09-06T00:00"),
        # A day that was skipped.
        ("2011-12-29T12:00", "Pacific/Apia", "tomorrow at 9", "2011-12-30T09:00"),
        ("2011-12-29T12:00", "Pacific/Apia", "in 2 days", "2011-12-31T12:00"),
    ],
)
def test_other_zones_and_days(now: str, zone: str, text: str, local: str) -> None:
    read = read_when(text, zone=zone, now_ms=ms(now, zone))
    assert (read.local, read.zone, read.elapsed) == (datetime.fromisoformat(local), zone, False)


def test_hours_pass_whatever_the_clock_does() -> None:
    spring = read_when("in 2 hours", zone=ROME, now_ms=ms("2027-03-28T01:30"))
    assert (spring.local, spring.understood) == (
        datetime(2027, 3, 28, 2, 30),
        "Sunday 2027-03-28 04:30:00+02:00 (Europe/Rome)",
    )
    autumn = read_when("in 24 hours", zone=ROME, now_ms=ms("2026-10-24T12:00"))
    assert autumn.understood == "Sunday 2026-10-25 11:00:00+01:00 (Europe/Rome)"


def test_in_the_hour_that_comes_twice_the_first_one_is_meant() -> None:
    first, second = ms("2026-10-25T02:20"), ms("2026-10-25T02:20", fold=1)
    assert second - first == 3_600_000
    assert read_when("at 2:50", zone=ROME, now_ms=first).local == datetime(2026, 10, 25, 2, 50)
    # Its 02:50 was the first one, forty minutes ago by the clock that passes; the next is tomorrow's.
    assert read_when("at 2:50", zone=ROME, now_ms=second).local == datetime(2026, 10, 26, 2, 50)
    with pytest.raises(PhraseError, match="past"):
        read_when("2026-10-25 02:50", zone=ROME, now_ms=second)


def test_a_time_in_a_gap_is_past_when_the_gap_is() -> None:
    with pytest.raises(PhraseError, match="past"):
        read_when("2027-03-28 02:30", zone=ROME, now_ms=ms("2027-03-28T03:10"))


def test_another_zone_may_be_named() -> None:
    read = read_when("tomorrow at 9 asia/tokyo", zone=ROME, now_ms=ms(NOW))
    assert (read.local, read.zone, read.elapsed) == (datetime(2026, 11, 22, 9), "Asia/Tokyo", False)
    utc = read_when("tomorrow at 9 UTC", zone=ROME, now_ms=ms(NOW))
    assert (utc.local, utc.zone, utc.elapsed) == (datetime(2026, 11, 21, 9), "UTC", False)


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "/etc/localtime", "a\x00b"])
def test_a_zone_that_there_is_not(zone: str) -> None:
    with pytest.raises(PhraseError, match="no time zone"):
        read_when("tomorrow", zone=zone, now_ms=ms(NOW))


def test_whether_a_time_of_day_was_said() -> None:
    said = {text: read_when(text, zone=ROME, now_ms=ms(NOW)).says_time for text in WALL}
    assert not any(said[text] for text in ("tomorrow", "friday", "in 3 days", "2026-12-24", "Dec 3"))
    assert all(said[text] for text in ("tomorrow at 9", "tonight", "tomorrow evening", "2026-12-24 18:00", "noon"))


def test_a_part_of_a_second_is_waited_for() -> None:
    read = read_when("in 10 seconds", zone="UTC", now_ms=1_795_196_220_001)
    assert read.local.replace(tzinfo=UTC).timestamp() == 1_795_196_231
