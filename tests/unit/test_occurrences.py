"""Occurrences: every zone and every gap and overlap, against answers that are computed in another way.

The other way goes through the instants themselves, forwards, and asks zoneinfo what the wall clock says at each.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contracts.errors import ScheduleError
from core.contracts.reminders import Intent, Occurrence
from core.services.occurrences import checked, first, following, instant_ms, missed, shortest_gap_s

ZONES = sorted(available_timezones())
SPANS = ((2010, 2013), (2024, 2028), (2037, 2039), (2099, 2101))
"""Years that hold the strangest changes, the present, and what zones have only rules for."""


def ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def changes(zone: ZoneInfo, years: tuple[int, int]) -> list[tuple[datetime, timedelta]]:
    """Return the instants at which the wall clock jumps, and how far; found by halving days."""
    found = []
    day = datetime(years[0], 1, 1, tzinfo=UTC)
    while day.year < years[1]:
        after = day + timedelta(days=7)
        jump = (wall(after, zone) - wall(day, zone)) - (after - day)
        if jump:
            low, high = day, after
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                if (wall(middle, zone) - wall(day, zone)) == (middle - day):
                    low = middle
                else:
                    high = middle
            found.append((high, jump))
        day = after
    return found


@pytest.mark.parametrize("part", range(8))
def test_every_gap_and_overlap_of_every_zone(part: int) -> None:
    dice = random.Random(part)
    seen = 0
    for name in ZONES[part::8]:
        zone = ZoneInfo(name)
        for years in SPANS:
            for instant, jump in changes(zone, years):
                seen += 1
                before = wall(instant - timedelta(seconds=1), zone) + timedelta(seconds=1)
                after = wall(instant, zone)
                share = dice.random()
                if jump > timedelta(0):
                    inside = (before + jump * share).replace(microsecond=0)
                    for local in (before, inside, after - timedelta(seconds=1)):
                        assert instant_ms(local, name) == ms(instant), (name, local, "a gap ends at its end")
                    assert instant_ms(after, name) == ms(instant)
                else:
                    twice = (after - jump * share).replace(microsecond=0)
                    if twice < before:
                        earlier = instant - (before - twice)
                        assert wall(earlier, zone) == twice
                        assert instant_ms(twice, name) == ms(earlier), (name, twice, "the first of the two")
                    assert instant_ms(before, name) == ms(instant + (before - after)), (name, before)
    assert seen > 20


def test_ordinary_times_of_every_zone() -> None:
    dice = random.Random(1)
    for name in ZONES:
        zone = ZoneInfo(name)
        for _ in range(5):
            instant = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=dice.randrange(60 * 24 * 365 * 30))
            local = wall(instant, zone)
            found = instant_ms(local, name)
            assert found in (ms(instant), ms(instant) - 3_600_000, ms(instant) - 1_800_000, ms(instant) - 7_200_000)
            assert wall(datetime.fromtimestamp(found / 1000, UTC), zone) == local


@pytest.mark.parametrize(
    ("local", "zone", "instant"),
    [
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T10:00+00:00"),
        ("2018-11-04T00:00", "America/Sao_Paulo", "2018-11-04T03:00+00:00"),
        ("2026-03-29T02:30", "Europe/Rome", "2026-03-29T01:00+00:00"),
        ("2026-10-25T02:30", "Europe/Rome", "2026-10-25T00:30+00:00"),
        ("2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-03T15:30+00:00"),
        ("2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-04T14:45+00:00"),
        ("2100-07-01T09:00", "Europe/Rome", "2100-07-01T07:00+00:00"),
    ],
)
def test_known_ones(local: str, zone: str, instant: str) -> None:
    assert instant_ms(datetime.fromisoformat(local), zone) == ms(datetime.fromisoformat(instant))


def every(intent: Intent, most: int) -> list[Occurrence]:
    """Walk from occurrence to occurrence."""
    found: list[Occurrence] = []
    occurrence = first(intent, 0)
    while occurrence is not None and len(found) < most:
        found.append(occurrence)
        occurrence = following(intent, occurrence)
    return found


def plain(intent: Intent, most: int) -> list[int]:
    """Return the instants of a rule without the walk: dateutil from the start, each instant once."""
    bare = ";".join(part for part in intent.rule.split(";") if not part.startswith(("COUNT", "UNTIL")))
    count = next((int(p[6:]) for p in intent.rule.split(";") if p.startswith("COUNT=")), most)
    instants: list[int] = []
    for local in rrulestr(bare, dtstart=intent.start):
        at_ms = ms(local.replace(tzinfo=UTC)) if intent.elapsed else instant_ms(local, intent.zone)
        if not instants or at_ms > instants[-1]:
            instants.append(at_ms)
        if len(instants) >= min(most, count):
            break
    return instants


DAYS = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1, max_size=3, unique=True)


@st.composite
def rules(draw: st.DrawFn) -> str:
    freq = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"]))
    parts = [f"FREQ={freq}"]
    interval = draw(st.integers(1, 5))
    if interval > 1:
        parts.append(f"INTERVAL={interval}")
    if freq == "WEEKLY" and draw(st.booleans()):
        parts.append(f"BYDAY={','.join(draw(DAYS))}")
        if draw(st.booleans()):
            parts.append(f"WKST={draw(st.sampled_from(['SU', 'WE', 'MO']))}")
    if freq == "MONTHLY":
        parts += draw(
            st.sampled_from(
                [
                    [],
                    ["BYMONTHDAY=28,29,30,31", "BYSETPOS=-1"],
                    ["BYMONTHDAY=31"],
                    ["BYMONTHDAY=-1,15"],
                    ["BYDAY=-1FR"],
                    ["BYDAY=MO,TU,WE,TH,FR", "BYSETPOS=1,-1"],
                ]
            )
        )
    if freq == "YEARLY" and draw(st.booleans()):
        parts += ["BYMONTH=2,10", "BYMONTHDAY=28,29", "BYSETPOS=-1"]
    if freq in ("DAILY", "WEEKLY") and draw(st.booleans()):
        parts.append("BYHOUR=1,2,13")
    if freq == "HOURLY" and draw(st.booleans()):
        parts.append("BYMINUTE=0,30")
    if draw(st.booleans()):
        parts.append(f"COUNT={draw(st.integers(1, 30))}")
    return ";".join(parts)


@settings(max_examples=150, deadline=None)
@given(
    rule=rules(),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31)).map(lambda d: d.replace(microsecond=0)),
    zone=st.sampled_from(["Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
    elapsed=st.booleans(),
    ahead=st.integers(0, 25),
)
def test_the_walk_gives_what_the_rule_gives(rule: str, start: datetime, zone: str, elapsed: bool, ahead: int) -> None:
    intent = checked(Intent(start=start, zone=zone, rule=rule, elapsed=elapsed))
    expected = plain(intent, 40)
    walked = every(intent, 40)
    assert [occurrence.at_ms for occurrence in walked] == expected
    if "COUNT" in rule:
        assert [occurrence.remaining for occurrence in walked] == list(range(len(walked)))[::-1] or len(walked) == 40
    # From anywhere on the way, and by what was missed, it is the same.
    index = min(ahead, len(expected) - 1)
    assert first(intent, expected[index]) == walked[index]
    due = missed(intent, walked[0], expected[index])
    assert (due.newest, due.count) == (walked[index], index + 1)
    assert due.next == (walked[index + 1] if index + 1 < len(walked) else following(intent, walked[index]))


def test_until_is_an_instant() -> None:
    start = datetime(2026, 1, 1, 9)
    for until in ("20260103T080000Z", "20260103T090000", "20260103"):
        intent = checked(Intent(start=start, zone="Europe/Rome", rule=f"FREQ=DAILY;UNTIL={until}"))
        assert intent.rule.startswith("FREQ=DAILY;UNTIL=20260103T")
        assert len(every(intent, 10)) == 3


def test_times_of_one_gap_are_one_occurrence() -> None:
    intent = Intent(start=datetime(2026, 3, 29, 1, 0), zone="Europe/Rome", rule="FREQ=MINUTELY;INTERVAL=15")
    instants = [occurrence.at_ms for occurrence in every(intent, 6)]
    assert [after - before for before, after in pairwise(instants)] == [15 * 60_000] * 5


def test_the_last_day_of_a_month_is_said_by_its_rule_and_not_by_monthly() -> None:
    start = datetime(2026, 1, 31, 9)
    said = Intent(start=start, zone="UTC", rule="FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1")
    assert [o.local.day for o in every(said, 4)] == [31, 28, 31, 30]
    bare = Intent(start=start, zone="UTC", rule="FREQ=MONTHLY")
    assert [o.local.month for o in every(bare, 4)] == [1, 3, 5, 7], "RFC 5545: months without such a day are left out"


def test_years_of_downtime_of_a_minutely_rule() -> None:
    intent = checked(Intent(start=datetime(2020, 1, 1), zone="Europe/Rome", rule="FREQ=MINUTELY"))
    due = first(intent, 0)
    assert due is not None
    now_ms = ms(datetime(2026, 1, 1, tzinfo=UTC)) + 30_000
    found = missed(intent, due, now_ms)
    assert found.more
    assert (found.newest.at_ms, found.next.at_ms if found.next else 0) == (now_ms - 30_000, now_ms + 30_000)


def test_single_ones() -> None:
    intent = checked(Intent(start=datetime(2026, 1, 1, 9, 0, 0, 5), zone="UTC"))
    (only,) = every(intent, 5)
    assert only.at_ms == ms(datetime(2026, 1, 1, 9, tzinfo=UTC))
    assert following(intent, only) is None
    assert first(intent, only.at_ms + 1) is None
    assert shortest_gap_s(intent) is None


@pytest.mark.parametrize(
    ("rule", "gap_s"),
    [("FREQ=DAILY", 82_800), ("FREQ=HOURLY", 3600), ("FREQ=DAILY;BYHOUR=9;BYMINUTE=0,1", 60), ("FREQ=SECONDLY", 1)],
)
def test_the_smallest_distance(rule: str, gap_s: int) -> None:
    intent = Intent(start=datetime(2026, 1, 1, 9), zone="Europe/Rome", rule=rule)
    assert shortest_gap_s(intent) == gap_s


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never comes"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never comes"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "never comes"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=10", "never comes"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101", "not by both"),
        ("FREQ=DAILY;COUNT=0", "no whole number"),
        ("FREQ=DAILY;COUNT=99999", "at most 10000"),
        ("FREQ=DAILY;INTERVAL=-1", "no whole number"),
        ("FREQ=DAILY;INTERVAL=99999999999", "no whole number"),
        ("FREQ=FORTNIGHTLY", "no FREQ"),
        ("BYDAY=MO", "no FREQ"),
        ("FREQ=DAILY;FREQ=WEEKLY", "says FREQ twice"),
        ("FREQ=DAILY;BYDAY=XX", "cannot be read"),
        ("FREQ=DAILY;BYHOUR=25", "cannot be read"),
        ("FREQ=DAILY;BYEASTER=0", "does not know"),
        ("FREQ=DAILY\nEXDATE:20260101", "one line"),
        ("FREQ=DAILY;UNTIL=tomorrow", "is no date"),
        ("nonsense", "does not know"),
        ("FREQ=YEARLY;INTERVAL=31", "out of range"),
    ],
)
def test_what_is_no_rule_is_refused(rule: str, says: str) -> None:
    with pytest.raises(ScheduleError, match=says) as refused:
        checked(Intent(start=datetime(2026, 1, 31, 9), zone="Europe/Rome", rule=rule))
    assert refused.value.cure


@pytest.mark.parametrize(
    "intent",
    [
        Intent(start=datetime(2026, 1, 1), zone="Mars/Base"),
        Intent(start=datetime(2026, 1, 1), zone="../etc/passwd"),
        Intent(start=datetime(1900, 1, 1), zone="UTC"),
        Intent(start=datetime(9000, 1, 1), zone="UTC"),
        Intent(start=datetime(2026, 1, 1, tzinfo=UTC), zone="UTC"),
    ],
)
def test_what_is_no_time_is_refused(intent: Intent) -> None:
    with pytest.raises(ScheduleError):
        checked(intent)


@pytest.mark.parametrize("freq", ["DAILY;INTERVAL=7", "DAILY;INTERVAL=14", "HOURLY;INTERVAL=168"])
@pytest.mark.parametrize("year", [2024, 2026, 2027, 2100])
def test_a_rule_that_hangs_on_the_weekday_of_its_start(freq: str, year: int) -> None:
    start = datetime(year, 6, 1, 9)
    day = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")[start.weekday()]
    other = ("TU", "WE", "TH", "FR", "SA", "SU", "MO")[start.weekday()]
    intent = Intent(start=start, zone="Europe/Rome", rule=f"FREQ={freq};BYDAY={day}")
    assert checked(intent) == intent
    with pytest.raises(ScheduleError, match="never comes"):
        checked(Intent(start=start, zone="Europe/Rome", rule=f"FREQ={freq};BYDAY={other}"))


def test_a_rule_that_would_be_looked_for_second_by_second_is_refused() -> None:
    rule = "FREQ=SECONDLY;INTERVAL=7;BYMONTH=2;BYMONTHDAY=29;BYHOUR=3;BYMINUTE=7;BYSECOND=3"
    with pytest.raises(ScheduleError, match="FREQ=SECONDLY has no"):
        checked(Intent(start=datetime(2026, 6, 1, 9), zone="Europe/Rome", rule=rule))
