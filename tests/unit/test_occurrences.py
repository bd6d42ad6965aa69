"""The policy of reminders case by case: what a rule means, what is refused, what was missed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from core.contracts.errors import ScheduleError
from core.contracts.reminders import Intent, Occurrence
from core.services.occurrences import MOST_COUNTED, checked, first, following, instant_ms, missed, shortest_gap_s

START = datetime(2026, 1, 1, 9)  # a Thursday
DAY_MS = 86_400_000


def _intent(rule: str = "", start: datetime = START, zone: str = "UTC", elapsed: bool = False) -> Intent:
    return checked(Intent(start=start, zone=zone, rule=rule, elapsed=elapsed))


def _first(intent: Intent, from_ms: int = 0) -> Occurrence:
    occurrence = first(intent, from_ms)
    assert occurrence is not None
    return occurrence


def _some(intent: Intent, most: int) -> list[Occurrence]:
    found = [_first(intent)]
    while len(found) < most and (later := following(intent, found[-1])) is not None:
        found.append(later)
    return found


def _days(intent: Intent, most: int) -> list[str]:
    return [f"{each.local:%m-%d}" for each in _some(intent, most)]


def test_a_one_shot_happens_once() -> None:
    intent = _intent(zone="Europe/Rome")
    occurrence = _first(intent)
    assert occurrence == Occurrence(local=START, at_ms=instant_ms(datetime(2026, 1, 1, 8), "UTC"))
    assert following(intent, occurrence) is None
    assert first(intent, occurrence.at_ms) == occurrence
    assert first(intent, occurrence.at_ms + 1) is None
    assert shortest_gap_s(intent) is None


def test_the_31st_means_what_is_written() -> None:
    assert _days(_intent("FREQ=MONTHLY;BYMONTHDAY=31"), 4) == ["01-31", "03-31", "05-31", "07-31"]
    assert _days(_intent("FREQ=MONTHLY", datetime(2026, 1, 31, 9)), 3) == ["01-31", "03-31", "05-31"]
    last = _intent("FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1", datetime(2026, 1, 31, 9))
    assert _days(last, 4) == ["01-31", "02-28", "03-31", "04-30"]


def test_the_start_counts_only_if_it_matches() -> None:
    intent = _intent("FREQ=WEEKLY;BYDAY=MO;COUNT=2")
    assert [(each.local.day, each.remaining) for each in _some(intent, 5)] == [(5, 1), (12, 0)]


def test_what_the_rule_leaves_out_is_taken_from_the_start() -> None:
    assert _days(_intent("FREQ=YEARLY;BYWEEKNO=20"), 2) == ["05-14", "05-20"]  # a Thursday, not all of the week
    assert _days(_intent("FREQ=WEEKLY"), 2) == ["01-01", "01-08"]
    assert _days(_intent("FREQ=YEARLY;BYMONTH=3"), 2) == ["03-01", "03-01"]


def test_bysetpos_sees_the_whole_first_week() -> None:
    assert _days(_intent("FREQ=WEEKLY;BYDAY=MO,FR;BYSETPOS=1"), 2) == ["01-05", "01-12"]


def test_days_with_and_without_a_number_together() -> None:
    assert _days(_intent("FREQ=MONTHLY;BYDAY=MO,1TU"), 6) == ["01-05", "01-06", "01-12", "01-19", "01-26", "02-02"]


def test_week_numbers_are_those_of_the_calendar() -> None:
    for number in (1, 2, 26, 51, 52, 53):
        intent = _intent(f"FREQ=YEARLY;BYWEEKNO={number};BYDAY=MO,TU,WE,TH,FR,SA,SU")
        days = map(date.fromordinal, range(START.toordinal(), START.toordinal() + 9000))
        expected = [day for day in days if day.isocalendar().week == number][:15]
        assert [each.local.date() for each in _some(intent, 15)] == expected


def test_a_leap_second_is_the_second_before() -> None:
    assert _intent("FREQ=DAILY;BYSECOND=60").rule == "FREQ=DAILY;BYSECOND=59"


def test_a_gap_that_swallows_several_times_happens_once() -> None:
    intent = _intent("FREQ=MINUTELY;INTERVAL=30;COUNT=6", datetime(2026, 3, 29, 1, 30), "Europe/Rome")
    found = _some(intent, 10)
    # 02:00, 02:30 and 03:00 are one instant.
    assert [(f"{each.local:%H:%M}", each.remaining) for each in found] == [
        ("01:30", 5),
        ("03:00", 2),
        ("03:30", 1),
        ("04:00", 0),
    ]
    assert [later.at_ms - earlier.at_ms for earlier, later in pairwise(found)] == [1_800_000] * 3


def test_a_count_that_ends_inside_a_gap() -> None:
    intent = _intent("FREQ=MINUTELY;INTERVAL=30;COUNT=2", datetime(2026, 3, 29, 2), "Europe/Rome")
    assert [each.remaining for each in _some(intent, 10)] == [0]


def test_a_skipped_day_is_made_up_for_once() -> None:
    intent = _intent("FREQ=DAILY", datetime(2011, 12, 29, 0), "Pacific/Apia")
    found = _some(intent, 3)
    assert [each.local.day for each in found] == [29, 31, 1]  # the 30th and the 31st at 00:00 are one instant
    assert [each.at_ms - found[0].at_ms for each in found] == [0, DAY_MS, 2 * DAY_MS]
    later = _intent("FREQ=DAILY", datetime(2011, 12, 29, 9), "Pacific/Apia")
    assert [each.local.day for each in _some(later, 3)] == [29, 30, 31]


def test_a_time_that_exists_twice_happens_the_first_time() -> None:
    intent = _intent("FREQ=DAILY", datetime(2026, 10, 24, 2, 30), "Europe/Rome")
    found = _some(intent, 3)
    assert [later.at_ms - earlier.at_ms for earlier, later in pairwise(found)] == [
        DAY_MS,
        90_000_000,
    ]
    assert _first(intent, found[1].at_ms + 1) == found[2]


def test_elapsed_rules_know_no_wall_clock() -> None:
    intent = _intent("FREQ=HOURLY;INTERVAL=12", datetime(2026, 3, 28, 12), "Europe/Rome", elapsed=True)
    found = _some(intent, 6)
    assert {later.at_ms - earlier.at_ms for earlier, later in pairwise(found)} == {DAY_MS // 2}
    assert found[0].at_ms == datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp() * 1000


def test_an_occurrence_of_older_zone_data_is_not_repeated() -> None:
    intent = _intent("FREQ=DAILY", zone="Europe/Rome")
    occurrence = _first(intent)
    moved = Occurrence(local=occurrence.local, at_ms=occurrence.at_ms + 3_600_000)
    later = following(intent, moved)
    assert later is not None
    assert later.local.day == 2
    early = Occurrence(local=occurrence.local, at_ms=occurrence.at_ms - 3_600_000)
    assert following(intent, early) == later


def test_the_end_of_the_calendar_ends_a_rule() -> None:
    for rule in ("FREQ=YEARLY", "FREQ=MONTHLY", "FREQ=WEEKLY", "FREQ=DAILY", "FREQ=SECONDLY;INTERVAL=40"):
        intent = _intent(rule, datetime(9999, 12, 31, 23, 59, 20), "America/New_York")
        assert len(_some(intent, 3)) == 1
        assert first(intent, 10**18) is None


@pytest.mark.parametrize(
    ("until", "days"),
    [
        ("20260103", 3),
        ("20260103T090000", 3),
        ("20260103T085959", 2),
        ("20260103T080000Z", 3),
        ("20260103T075959Z", 2),
    ],
)
def test_until_is_included(until: str, days: int) -> None:
    assert len(_some(_intent(f"FREQ=DAILY;UNTIL={until}", zone="Europe/Rome"), 9)) == days


def test_checked_normalizes() -> None:
    rule = " rrule:wkst=mo;interval=1;byday=fr,mo,+1tu,mo;freq=monthly "
    intent = Intent(start=datetime(2026, 1, 1, 9, 0, 0, 1, fold=1), zone=" europe/rome ", rule=rule)
    assert checked(intent) == Intent(
        start=datetime(2026, 1, 1, 9, 0, 1), zone="Europe/Rome", rule="FREQ=MONTHLY;BYDAY=MO,FR,1TU"
    )
    assert checked(intent).start.fold == 0


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("BYDAY=MO", "no FREQ"),
        ("FREQ=FORTNIGHTLY", "'FORTNIGHTLY' is no frequency"),
        ("every day", "'EVERY DAY' is not NAME=VALUE"),
        ("FREQ=DAILY;", "'' is not NAME=VALUE"),
        ("FREQ=DAILY;FREQ=WEEKLY", "FREQ stands there twice"),
        ("FREQ=YEARLY;BYEASTER=1", "no part 'BYEASTER'"),
        ("FREQ=DAILY\nFREQ=WEEKLY", "more than one repeat rule"),
        ("RRULE:FREQ=DAILY RRULE:FREQ=WEEKLY", "more than one repeat rule"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101", "both COUNT and UNTIL"),
        ("FREQ=DAILY;COUNT=0", "COUNT=0"),
        ("FREQ=DAILY;COUNT=10001", "from 1 to 10000"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
        ("FREQ=DAILY;INTERVAL=1.5", "INTERVAL=1.5"),
        ("FREQ=DAILY;INTERVAL=\u0662", "INTERVAL="),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL=TOMORROW"),
        ("FREQ=DAILY;UNTIL=20270230", "UNTIL=20270230"),
        ("FREQ=DAILY;UNTIL=19000101", "ends in 1900"),
        ("FREQ=DAILY;UNTIL=20250101", "ends before it happens"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR=24"),
        ("FREQ=DAILY;BYHOUR=-1", "BYHOUR=-1"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY counts from 1"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY=32"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY=0MO"),
        ("FREQ=MONTHLY;BYDAY=MON", "BYDAY=MON"),
        ("FREQ=WEEKLY;BYDAY=1MO", "does not go with FREQ=WEEKLY"),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "does not go with BYWEEKNO"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "does not go with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYYEARDAY=1", "does not go with FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "does not go with FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYSETPOS=1", "chooses from nothing"),
        ("FREQ=WEEKLY;WKST=1", "WKST=1"),
        ("FREQ=DAILY;BYHOUR=" + "1," * 3000 + "1", "longer than"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never happens"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "never happens"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=FR", "never happens"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;UNTIL=20270101", "ends before it happens"),
        ("FREQ=MONTHLY;BYDAY=6MO", "never happens"),
        ("FREQ=MINUTELY;INTERVAL=60;BYMINUTE=7", "never happens"),
        ("FREQ=HOURLY;BYMINUTE=1,2;BYSETPOS=3", "never happens"),
    ],
)
def test_rules_that_are_refused(rule: str, complaint: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        checked(Intent(start=START, zone="UTC", rule=rule))
    assert complaint in str(caught.value)
    assert caught.value.code == "schedule"


@pytest.mark.parametrize(
    ("start", "zone", "complaint"),
    [
        (START, "Europe/Room", "'Europe/Room' is no IANA time zone."),
        (START, "", "no IANA time zone"),
        (START, "posix/Europe/Rome", "no IANA time zone"),
        (START, "../../etc/passwd", "no IANA time zone"),
        (START.replace(tzinfo=UTC), "UTC", "a zone of its own"),
        (datetime(1969, 12, 31, 23, 59, 59), "UTC", "1969"),
        (datetime(9999, 12, 31, 23, 59, 59, 5), "UTC", "9999"),
    ],
)
def test_starts_and_zones_that_are_refused(start: datetime, zone: str, complaint: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        checked(Intent(start=start, zone=zone))
    assert complaint in str(caught.value)
    assert caught.value.cure


def test_nothing_is_missed_but_what_is_due() -> None:
    intent = _intent("FREQ=DAILY")
    one, two, three = _some(intent, 3)
    result = missed(intent, one, one.at_ms)
    assert (result.newest, result.count, result.next, result.exact) == (one, 1, two, True)
    result = missed(intent, one, three.at_ms - 1)
    assert (result.newest, result.count, result.next) == (two, 2, three)
    with pytest.raises(ValueError, match="not due"):
        missed(intent, one, one.at_ms - 1)


def test_a_one_shot_is_missed_once() -> None:
    intent = _intent()
    occurrence = _first(intent)
    result = missed(intent, occurrence, occurrence.at_ms + 30 * DAY_MS)
    assert (result.newest, result.count, result.next) == (occurrence, 1, None)


@pytest.mark.parametrize("days", [7, 30, 3650, 36_500])
@pytest.mark.parametrize(
    "rule", ["FREQ=MINUTELY", "FREQ=SECONDLY;INTERVAL=7", "FREQ=MINUTELY;BYHOUR=8,9;BYDAY=MO,TU"]
)
def test_a_long_time_down(rule: str, days: int) -> None:
    intent = _intent(rule)
    occurrence = _first(intent)
    now_ms = occurrence.at_ms + days * DAY_MS + 12_345
    result = missed(intent, occurrence, now_ms)
    assert result.exact == (result.count < MOST_COUNTED)
    assert result.next is not None
    assert result.newest.at_ms <= now_ms < result.next.at_ms
    assert following(intent, result.newest) == result.next
    # Nothing lies between the newest and now: from the second after it, the first one is the next one.
    assert first(intent, result.newest.at_ms + 1) == result.next


def test_a_count_is_counted_to_its_end() -> None:
    intent = _intent("FREQ=MINUTELY;COUNT=10000")
    occurrence = _first(intent)
    result = missed(intent, occurrence, occurrence.at_ms + 3650 * DAY_MS)
    assert (result.count, result.next, result.exact, result.newest.remaining) == (10_000, None, True, 0)


def test_missed_up_to_an_end_long_ago() -> None:
    intent = _intent("FREQ=MINUTELY;UNTIL=20260301T000000Z", zone="Europe/Rome")
    occurrence = _first(intent)
    result = missed(intent, occurrence, occurrence.at_ms + 3650 * DAY_MS)
    assert result.newest.at_ms == datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000
    assert (result.count, result.next, result.exact) == (MOST_COUNTED, None, False)


@pytest.mark.parametrize(
    ("rule", "gap_s"),
    [
        ("FREQ=DAILY", 86_400),
        ("FREQ=DAILY;COUNT=1", None),
        ("FREQ=DAILY;UNTIL=20260101", None),
        ("FREQ=DAILY;COUNT=2", 86_400),
        ("FREQ=WEEKLY;BYDAY=MO,TU", 86_400),
        ("FREQ=DAILY;BYHOUR=0,23;BYMINUTE=0,59", 60),
        ("FREQ=HOURLY;BYMINUTE=10,12", 120),
        ("FREQ=YEARLY;BYSECOND=0,1", 1),
        ("FREQ=SECONDLY;INTERVAL=90", 90),
        ("FREQ=MINUTELY;BYMONTH=12", 60),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", 1461 * 86_400),
        ("FREQ=SECONDLY;INTERVAL=86399;BYHOUR=12;BYMINUTE=0;BYSECOND=0", None),
    ],
)
def test_the_shortest_gap(rule: str, gap_s: int | None) -> None:
    assert shortest_gap_s(_intent(rule, zone="Europe/Rome")) == gap_s


def test_a_rule_of_a_century_is_followed() -> None:
    intent = _intent("FREQ=YEARLY;INTERVAL=100;BYMONTH=2;BYMONTHDAY=29", datetime(2000, 2, 29, 9))
    assert [each.local.year for each in _some(intent, 3)] == [2000, 2400, 2800]
    assert _some(intent, 2)[1].local - START > timedelta(days=365 * 300)
