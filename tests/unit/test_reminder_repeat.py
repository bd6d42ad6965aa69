"""The words of `repeat`: the rule they mean, where it begins, and that nothing is guessed."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from plugins.event.phrase_error import PhraseError, Refusal
from plugins.event.repeat import Repeat, read_repeat
from plugins.event.when import When, read_when

ROME = "Europe/Rome"
NOW_MS = 1_795_196_220_000
"""Friday 2026-11-20 17:37 UTC, 18:37 in Rome."""


def read(text: str, when: str | None = None, *, zone: str = ROME, now_ms: int = NOW_MS) -> Repeat:
    start: When | None = None if when is None else read_when(when, zone=zone, now_ms=now_ms)
    return read_repeat(text, zone=zone, now_ms=now_ms, start=start)


WORKDAYS = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
WALL = {
    "daily at 9": ("FREQ=DAILY", "2026-11-21T09:00"),
    "Every day at 8.": ("FREQ=DAILY", "2026-11-21T08:00"),
    "each day at 23:00": ("FREQ=DAILY", "2026-11-20T23:00"),
    "every single day at 7pm": ("FREQ=DAILY", "2026-11-20T19:00"),
    "at 8 every day": ("FREQ=DAILY", "2026-11-21T08:00"),
    "daily at noon": ("FREQ=DAILY", "2026-11-21T12:00"),
    "every day at midnight": ("FREQ=DAILY", "2026-11-21T00:00"),
    "daily 18:37": ("FREQ=DAILY", "2026-11-21T18:37"),
    "every evening": ("FREQ=DAILY", "2026-11-20T19:00"),
    "every evening at 8": ("FREQ=DAILY", "2026-11-20T20:00"),
    "every night": ("FREQ=DAILY", "2026-11-20T21:00"),
    "every day in the morning at 7": ("FREQ=DAILY", "2026-11-21T07:00"),
    "every other day at 7": ("FREQ=DAILY;INTERVAL=2", "2026-11-21T07:00"),
    "every 3 days at 7": ("FREQ=DAILY;INTERVAL=3", "2026-11-21T07:00"),
    "every weekday at 8": (WORKDAYS, "2026-11-23T08:00"),
    "weekdays at 8am": (WORKDAYS, "2026-11-23T08:00"),
    "on weekdays at 19:00": (WORKDAYS, "2026-11-20T19:00"),
    "every working day at 8": (WORKDAYS, "2026-11-23T08:00"),
    "every monday to friday at 8": (WORKDAYS, "2026-11-23T08:00"),
    "every fri-mon at 8": ("FREQ=WEEKLY;BYDAY=MO,FR,SA,SU", "2026-11-21T08:00"),
    "every weekend at 10": ("FREQ=WEEKLY;BYDAY=SA,SU", "2026-11-21T10:00"),
    "every monday and thursday at 18:30": ("FREQ=WEEKLY;BYDAY=MO,TH", "2026-11-23T18:30"),
    "every thursday, monday at 18:30": ("FREQ=WEEKLY;BYDAY=MO,TH", "2026-11-23T18:30"),
    "every mon, wed and fri at 7": ("FREQ=WEEKLY;BYDAY=MO,WE,FR", "2026-11-23T07:00"),
    "every friday at 19:00": ("FREQ=WEEKLY;BYDAY=FR", "2026-11-20T19:00"),
    "every friday at 18:00": ("FREQ=WEEKLY;BYDAY=FR", "2026-11-27T18:00"),
    "on tuesdays at 9": ("FREQ=WEEKLY;BYDAY=TU", "2026-11-24T09:00"),
    "mondays and fridays at 9": ("FREQ=WEEKLY;BYDAY=MO,FR", "2026-11-23T09:00"),
    "every monday morning": ("FREQ=WEEKLY;BYDAY=MO", "2026-11-23T09:00"),
    "every monday evening at 7": ("FREQ=WEEKLY;BYDAY=MO", "2026-11-23T19:00"),
    "every other friday at 9": ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "2026-11-27T09:00"),
    "weekly on friday at 10": ("FREQ=WEEKLY;BYDAY=FR", "2026-11-27T10:00"),
    "every week on monday, wednesday and friday at 7am": ("FREQ=WEEKLY;BYDAY=MO,WE,FR", "2026-11-23T07:00"),
    "every 2 weeks on friday at 9": ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "2026-11-27T09:00"),
    "fortnightly on friday at 9": ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "2026-11-27T09:00"),
    "monthly on the 31st at 9": ("FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1", "2026-11-30T09:00"),
    "monthly on the 30th at 9": ("FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1", "2026-11-30T09:00"),
    "monthly on the 29th at 9": ("FREQ=MONTHLY;BYMONTHDAY=28,29;BYSETPOS=-1", "2026-11-29T09:00"),
    "monthly on the 28th at 9": ("FREQ=MONTHLY;BYMONTHDAY=28", "2026-11-28T09:00"),
    "monthly on the 1st and 15th at 9": ("FREQ=MONTHLY;BYMONTHDAY=1,15", "2026-12-01T09:00"),
    "every month on the 15th at 10": ("FREQ=MONTHLY;BYMONTHDAY=15", "2026-12-15T10:00"),
    "on the 15th of every month at 10": ("FREQ=MONTHLY;BYMONTHDAY=15", "2026-12-15T10:00"),
    "every 20th of the month at 19:00": ("FREQ=MONTHLY;BYMONTHDAY=20", "2026-11-20T19:00"),
    "every month on the last day at 10": ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-11-30T10:00"),
    "on the last day of every month at 10": ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-11-30T10:00"),
    "every 3 months on day 1 at 10:00": ("FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=1", "2026-12-01T10:00"),
    "quarterly on the 1st at 10": ("FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=1", "2026-12-01T10:00"),
    "every last friday of the month at 17:00": ("FREQ=MONTHLY;BYDAY=-1FR", "2026-11-27T17:00"),
    "every first monday at 9": ("FREQ=MONTHLY;BYDAY=1MO", "2026-12-07T09:00"),
    "every second tuesday of the month at 8": ("FREQ=MONTHLY;BYDAY=2TU", "2026-12-08T08:00"),
    "on the 3rd wednesday of the month at 8": ("FREQ=MONTHLY;BYDAY=3WE", "2026-12-16T08:00"),
    "monthly on the first monday at 9": ("FREQ=MONTHLY;BYDAY=1MO", "2026-12-07T09:00"),
    "every last weekday of the month at 9": (
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "2026-11-30T09:00",
    ),
    "yearly on december 24 at 8": ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", "2026-12-24T08:00"),
    "annually on the 24th of december at 8": ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", "2026-12-24T08:00"),
    "every december 24 at 18:00": ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", "2026-12-24T18:00"),
    "every year on February 29 at 9": ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1", "2027-02-28T09:00"),
    "RRULE:FREQ=DAILY;BYHOUR=9;BYMINUTE=0": ("FREQ=DAILY;BYHOUR=9;BYMINUTE=0", "2026-11-21T09:00"),
    "freq=daily;byhour=9": ("FREQ=DAILY;BYHOUR=9", "2026-11-21T09:00"),
    "FREQ=DAILY;BYHOUR=9,19": ("FREQ=DAILY;BYHOUR=9,19", "2026-11-20T19:00"),
    "BYHOUR=9;BYDAY=MO,FR;FREQ=WEEKLY;": ("FREQ=WEEKLY;BYHOUR=9;BYDAY=MO,FR", "2026-11-23T09:00"),
    "FREQ=MONTHLY;BYMONTHDAY=31;BYHOUR=9": ("FREQ=MONTHLY;BYMONTHDAY=31;BYHOUR=9", "2026-12-31T09:00"),
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=9": (
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=9",
        "2028-02-29T09:00",
    ),
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;BYHOUR=9": (
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;BYHOUR=9",
        "2044-02-29T09:00",
    ),
    "FREQ=HOURLY;BYHOUR=9,10,11;BYDAY=MO": ("FREQ=HOURLY;BYHOUR=9,10,11;BYDAY=MO", "2026-11-23T09:00"),
    "FREQ=DAILY;BYHOUR=9,12,20;BYSETPOS=-1": ("FREQ=DAILY;BYHOUR=9,12,20;BYSETPOS=-1", "2026-11-20T20:00"),
    "FREQ=DAILY;BYHOUR=9;UNTIL=20261121T080000Z": ("FREQ=DAILY;BYHOUR=9;UNTIL=20261121T080000Z", "2026-11-21T09:00"),
    "FREQ=DAILY;BYHOUR=9;UNTIL=20261121": ("FREQ=DAILY;BYHOUR=9;UNTIL=20261121", "2026-11-21T09:00"),
    "FREQ=DAILY;BYHOUR=9;UNTIL=20261201T080000Z": ("FREQ=DAILY;BYHOUR=9;UNTIL=20261201T080000Z", "2026-11-21T09:00"),
}
ELAPSED = {
    "every 2 hours": ("FREQ=HOURLY;INTERVAL=2", "2026-11-20T19:37"),
    "every hour": ("FREQ=HOURLY;INTERVAL=1", "2026-11-20T18:37"),
    "hourly": ("FREQ=HOURLY;INTERVAL=1", "2026-11-20T18:37"),
    "every 30 minutes": ("FREQ=MINUTELY;INTERVAL=30", "2026-11-20T18:07"),
    "every half hour": ("FREQ=MINUTELY;INTERVAL=30", "2026-11-20T18:07"),
    "every 90m": ("FREQ=MINUTELY;INTERVAL=90", "2026-11-20T19:07"),
    "every 90 seconds": ("FREQ=SECONDLY;INTERVAL=90", "2026-11-20T17:38:30"),
    "every other hour": ("FREQ=HOURLY;INTERVAL=2", "2026-11-20T19:37"),
    "FREQ=HOURLY;INTERVAL=5": ("FREQ=HOURLY;INTERVAL=5", "2026-11-20T22:37"),
    "RRULE:FREQ=MINUTELY;INTERVAL=10;COUNT=3": ("FREQ=MINUTELY;INTERVAL=10;COUNT=3", "2026-11-20T17:47"),
}
UNKNOWN, AMBIGUOUS, INCOMPLETE = Refusal.UNKNOWN, Refusal.AMBIGUOUS, Refusal.INCOMPLETE
IMPOSSIBLE, FAR = Refusal.IMPOSSIBLE, Refusal.FAR
REFUSED = {
    **dict.fromkeys(("", "every", "tomorrow at 9", "on monday at 9", "every blue moon", "every half day"), UNKNOWN),
    **dict.fromkeys(("every day at 9 at 10", "every year on the moon at 9", "every day until friday"), UNKNOWN),
    **dict.fromkeys(("every 2 hours at 9", "every monday until friday at 9", "x" * 600, "x" * 1000), UNKNOWN),
    **dict.fromkeys(("twice a day", "3 times a week", "often", "biweekly", "bimonthly on the 1st at 9"), AMBIGUOUS),
    **dict.fromkeys(("every second tuesday at 8", "every 3rd friday at 8", "every friday at midnight"), AMBIGUOUS),
    **dict.fromkeys(("weekdays at midnight", "monthly on the 1st and 31st at 9"), AMBIGUOUS),
    **dict.fromkeys(("daily", "every day", "every monday", "weekdays", "monthly on the 31st"), INCOMPLETE),
    **dict.fromkeys(("weekly", "weekly at 9", "monthly", "monthly at 9", "yearly", "every 2 weeks at 9"), INCOMPLETE),
    **dict.fromkeys(("FREQ=DAILY", "FREQ=WEEKLY;BYHOUR=9", "FREQ=YEARLY;BYMONTH=12;BYHOUR=9"), INCOMPLETE),
    **dict.fromkeys(
        ("every 0 hours", "every 0 days at 9", "every day at 25:00", "every february 30 at 9"), IMPOSSIBLE
    ),
    **dict.fromkeys(("every month on the 32nd at 9", "monthly on the 0th at 9"), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=FOO", "FREQ=", "FREQ=DAILY;FREQ=DAILY", "FREQ=DAILY;X=1", "FREQ=DAILY;;"), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=DAILY;BYDAY=XX;BYHOUR=9", "FREQ=DAILY;BYDAY=1MO;BYHOUR=9"), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=DAILY;BYHOUR=24", "FREQ=DAILY;BYHOUR=9;INTERVAL=0", "FREQ=DAILY;BYHOUR=9,"), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=MONTHLY;BYMONTHDAY=0;BYHOUR=9", "FREQ=WEEKLY;BYMONTHDAY=1;BYHOUR=9"), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=DAILY;BYHOUR=9;COUNT=1;UNTIL=20270101", "FREQ=DAILY;BYHOUR=9;UNTIL=soon"), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=DAILY;BYHOUR=9;UNTIL=20261301", "FREQ=DAILY;BYHOUR=9;UNTIL=20200101T000000Z"), IMPOSSIBLE),
    # These never come. A search up to the year 9999 would take seconds to find that out.
    **dict.fromkeys(("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=9",), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31;BYHOUR=9",), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=9",), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=DAILY;BYHOUR=9;BYSETPOS=2", "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYSETPOS=9"), IMPOSSIBLE),
    **dict.fromkeys(("FREQ=DAILY;BYHOUR=9;UNTIL=20261121T075959Z", "FREQ=DAILY;BYHOUR=9;UNTIL=20261120"), IMPOSSIBLE),
    **dict.fromkeys(("every 1000 days at 9", "every 999999 hours"), FAR),
}


@pytest.mark.parametrize(("text", "means"), WALL.items())
def test_repetitions_of_the_wall_clock(text: str, means: tuple[str, str]) -> None:
    repeat = read(text)
    assert (repeat.rule, repeat.start.local, repeat.elapsed) == (means[0], datetime.fromisoformat(means[1]), False)
    assert (repeat.start.zone, repeat.start.elapsed) == (ROME, False)


@pytest.mark.parametrize(("text", "means"), ELAPSED.items())
def test_repetitions_of_hours_that_pass(text: str, means: tuple[str, str]) -> None:
    repeat = read(text)
    assert (repeat.rule, repeat.start.local, repeat.elapsed) == (means[0], datetime.fromisoformat(means[1]), True)
    assert repeat.start.elapsed


@pytest.mark.parametrize(("text", "why"), REFUSED.items())
def test_what_is_no_repetition_is_refused(text: str, why: Refusal) -> None:
    with pytest.raises(PhraseError) as refused:
        read(text)
    assert refused.value.why is why
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("text", "when", "rule", "local"),
    [
        ("daily", "tomorrow at 7", "FREQ=DAILY", "2026-11-21T07:00"),
        ("daily", "tomorrow", "FREQ=DAILY", "2026-11-21T09:00"),
        ("daily at 8", "2026-12-01", "FREQ=DAILY", "2026-12-01T08:00"),
        ("daily at 8", "in 3 days", "FREQ=DAILY", "2026-11-23T08:00"),
        ("daily", "in 10 minutes", "FREQ=DAILY", "2026-11-20T18:47"),
        ("daily", "2026-12-24T18:00Z", "FREQ=DAILY", "2026-12-24T19:00"),
        ("weekly", "2026-12-01 10:00", "FREQ=WEEKLY", "2026-12-01T10:00"),
        ("weekly at 10", "monday", "FREQ=WEEKLY", "2026-11-23T10:00"),
        ("every monday", "2026-12-01 10:00", "FREQ=WEEKLY;BYDAY=MO", "2026-12-07T10:00"),
        ("every 2 weeks", "friday at 9", "FREQ=WEEKLY;INTERVAL=2", "2026-11-27T09:00"),
        ("every 3 days on", "tomorrow", "", ""),
        ("monthly", "2026-12-05 10:00", "FREQ=MONTHLY", "2026-12-05T10:00"),
        ("monthly", "2026-12-31 10:00", "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1", "2026-12-31T10:00"),
        (
            "every 2 months",
            "2026-12-30 10:00",
            "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=28,29,30;BYSETPOS=-1",
            "2026-12-30T10:00",
        ),
        ("monthly on the 15th", "2026-12-20 10:00", "FREQ=MONTHLY;BYMONTHDAY=15", "2027-01-15T10:00"),
        (
            "yearly",
            "2028-02-29 10:00",
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1",
            "2028-02-29T10:00",
        ),
        ("yearly", "2026-12-31 10:00", "FREQ=YEARLY", "2026-12-31T10:00"),
        ("FREQ=MONTHLY", "2026-12-31 10:00", "FREQ=MONTHLY", "2026-12-31T10:00"),
        ("FREQ=DAILY;BYHOUR=9", "2026-12-01", "FREQ=DAILY;BYHOUR=9", "2026-12-01T09:00"),
        ("FREQ=DAILY;BYHOUR=7", "2026-12-01", "FREQ=DAILY;BYHOUR=7", "2026-12-01T07:00"),
        ("FREQ=WEEKLY;BYDAY=MO", "2026-12-01 10:00", "FREQ=WEEKLY;BYDAY=MO", "2026-12-07T10:00"),
    ],
)
def test_when_says_where_it_begins(text: str, when: str, rule: str, local: str) -> None:
    if not rule:
        with pytest.raises(PhraseError):
            read(text, when)
        return
    repeat = read(text, when)
    assert (repeat.rule, repeat.start.local, repeat.elapsed) == (rule, datetime.fromisoformat(local), False)


def test_hours_that_pass_begin_where_when_says() -> None:
    wall = read("every 2 hours", "tomorrow at 9")
    assert (wall.start.local, wall.elapsed) == (datetime(2026, 11, 21, 8), True)
    assert read("every 2 hours", "in 10 minutes").start.local == datetime(2026, 11, 20, 17, 47)
    # 02:30 does not exist there: the end of the gap, 01:00 UTC.
    assert read("every 2 hours", "2027-03-28 02:30").start.local == datetime(2027, 3, 28, 1, 0)


def test_a_start_that_was_moved_is_told() -> None:
    moved = read("every monday", "2026-12-01 10:00")
    assert moved.understood == (
        "FREQ=WEEKLY;BYDAY=MO from Monday 2026-12-07 10:00 (Europe/Rome); "
        "the first that fits after Tuesday 2026-12-01 10:00 (Europe/Rome)"
    )
    assert "fits" not in read("every tuesday", "2026-12-01 10:00").understood


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("daily at 9", "2026-12-01 10:00"),
        ("every evening", "tomorrow at 9"),
        ("daily at 9", "in 10 minutes"),
        ("FREQ=DAILY;BYHOUR=9", "2026-12-01 10:00"),
        ("daily at 9 Asia/Tokyo", "tomorrow"),
        ("FREQ=DAILY from 2026-12-02 10:00", "2026-12-01 10:00"),
    ],
)
def test_when_and_repeat_must_not_differ(text: str, when: str) -> None:
    with pytest.raises(PhraseError, match="Say"):
        read(text, when)


def test_the_zone_is_that_of_the_words_or_of_when() -> None:
    named = read("daily at 9 Asia/Tokyo")
    assert (named.start.local, named.start.zone) == (datetime(2026, 11, 21, 9), "Asia/Tokyo")
    by_when = read("daily", "tomorrow at 9 Asia/Tokyo")
    assert (by_when.start.local, by_when.start.zone) == (datetime(2026, 11, 22, 9), "Asia/Tokyo")


def test_in_the_hour_that_comes_twice_the_first_one_is_meant() -> None:
    second = int(datetime(2026, 10, 25, 2, 20, fold=1, tzinfo=ZoneInfo(ROME)).timestamp() * 1000)
    assert read("daily at 2:50", now_ms=second).start.local == datetime(2026, 10, 26, 2, 50)
    assert read("FREQ=MINUTELY;BYHOUR=2,3", now_ms=second).start.local == datetime(2026, 10, 25, 3, 0)


def test_a_time_in_a_gap_is_kept() -> None:
    before = int(datetime(2027, 3, 27, 12, tzinfo=ZoneInfo(ROME)).timestamp() * 1000)
    assert read("daily at 2:30", now_ms=before).start.local == datetime(2027, 3, 28, 2, 30)
