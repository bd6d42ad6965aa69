"""Repeat rules against dateutil, which goes through a rule from its very start.

Where dateutil and RFC 5545 differ, `expected` says what is done about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice, pairwise
from typing import Any

import pytest
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from core.contracts.reminders import Intent, Occurrence
from core.services.occurrences import checked, first, following, instant_ms, missed, shortest_gap_s
from core.services.recurrence_rules import read_rule

LENGTH = 25
ZONES = (
    "UTC",
    "Europe/Rome",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Beirut",
    "America/St_Johns",
    "Africa/Casablanca",
)


def expected(intent: Intent) -> Iterator[Occurrence]:
    """Yield the occurrences of an intent with a rule, counted from its start."""
    parts = dict(part.split("=") for part in intent.rule.split(";"))
    count, until = parts.pop("COUNT", None), parts.pop("UNTIL", None)
    start = intent.start
    if parts["FREQ"] == "WEEKLY" and "BYSETPOS" in parts:
        # dateutil takes what is left of the first week for the whole of it.
        begin = ("MO", "TU", "WE", "TH", "FR", "SA", "SU").index(parts.get("WKST", "MO"))
        start -= timedelta(days=(start.weekday() - begin) % 7)
    text = ";".join("=".join(part) for part in parts.items())
    zone = "UTC" if intent.elapsed else intent.zone
    locals_ = (local for local in rrulestr(text, dtstart=start) if local >= intent.start)
    counted = islice(locals_, int(count)) if count else locals_
    left = int(count) if count else None
    for at_ms, group in groupby(counted, lambda local: instant_ms(local, zone)):
        for local in group:
            last, left = local, None if left is None else left - 1
        if until and _is_over(until, last, at_ms):
            return
        yield Occurrence(local=last, at_ms=at_ms, remaining=left)


def _is_over(until: str, local: datetime, at_ms: int) -> bool:
    if until.endswith("Z"):
        return at_ms > datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp() * 1000
    if "T" in until:
        return local > datetime.strptime(until, "%Y%m%dT%H%M%S")
    return local.date() > datetime.strptime(until, "%Y%m%d").date()


def walk(intent: Intent) -> Iterator[Occurrence]:
    """Yield the occurrences as the schedule gets them: each found from the one before it alone."""
    occurrence = first(intent, -(10**12))
    while occurrence is not None:
        yield occurrence
        occurrence = following(intent, occurrence)


def _some(low: int, high: int, most: int = 4, signed: bool = False) -> st.SearchStrategy[list[int]]:
    numbers = st.integers(low, high)
    if signed:
        numbers = st.one_of(numbers, st.integers(-high, -low))
    return st.lists(numbers, min_size=1, max_size=most, unique=True)


DAYS = st.sampled_from(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Return rules that RFC 5545 allows and that dateutil reads as it says; most of them happen often."""
    frequency = draw(st.sampled_from(("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")))
    long, short = frequency in ("YEARLY", "MONTHLY"), frequency in ("HOURLY", "MINUTELY", "SECONDLY")
    parts: dict[str, Any] = {"FREQ": [frequency]}

    def maybe(name: str, values: st.SearchStrategy[Any], one_in: int = 3) -> bool:
        wanted = draw(st.integers(1, one_in)) == 1
        if wanted:
            parts[name] = draw(values)
        return wanted

    maybe("INTERVAL", st.lists(st.integers(2, 20), min_size=1, max_size=1), 2)
    maybe("BYMONTH", _some(1, 12), 4)
    if frequency != "WEEKLY":
        maybe("BYMONTHDAY", _some(1, 31, signed=True))
    if frequency == "YEARLY" and maybe("BYWEEKNO", _some(1, 51, signed=True), 5):
        parts["BYDAY"] = draw(st.lists(DAYS, min_size=1, max_size=3, unique=True))
    elif frequency == "YEARLY" or short:
        maybe("BYYEARDAY", _some(1, 366, 12, signed=True), 8)
    if "BYDAY" not in parts and (maybe("BYDAY", st.lists(DAYS, min_size=1, max_size=3, unique=True)) and long):
        # All or none with a number: of "MO,1TU" dateutil wants a day to be both at once.
        ordinals = st.sampled_from(("1", "2", "+3", "-1", "-2"))
        if draw(st.booleans()):
            parts["BYDAY"] = [draw(ordinals) + day for day in parts["BYDAY"]]
    maybe("BYHOUR", _some(0, 23), 4)
    maybe("BYMINUTE", _some(0, 59), 4)
    maybe("BYSECOND", _some(0, 59), 6)
    if frequency == "WEEKLY" and "BYDAY" not in parts:
        parts["BYDAY"] = [draw(DAYS)]
    if any(name.startswith("BY") for name in parts):
        maybe("BYSETPOS", _some(1, 4, 2, signed=True), 4)
    maybe("WKST", st.lists(DAYS, min_size=1, max_size=1))
    return ";".join(f"{name}={','.join(map(str, values))}" for name, values in parts.items())


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    """Return intents in zones whose clocks change, starting anywhere, with and without an end."""
    start = draw(st.datetimes(datetime(2009, 1, 1), datetime(2031, 1, 1))).replace(microsecond=0)
    if draw(st.booleans()):
        start = start.replace(minute=draw(st.sampled_from((0, 30))), second=0, hour=draw(st.integers(0, 3)))
    rule = draw(rules())
    match draw(st.sampled_from(("endless", "count", "date", "local", "utc"))):
        case "count":
            rule += f";COUNT={draw(st.integers(1, 30))}"
        case "endless":
            pass
        case form:
            days = draw(st.sampled_from((1, 3, 20, 400, 4000)))
            until = start + timedelta(days=days, minutes=draw(st.integers(0, 900)))
            rule += f";UNTIL={until:%Y%m%d}" if form == "date" else f";UNTIL={until:%Y%m%dT%H%M%S}"
            rule += "Z" if form == "utc" else ""
    return Intent(start=start, zone=draw(st.sampled_from(ZONES)), rule=rule, elapsed=draw(st.integers(1, 5)) == 1)


def _found(intent: Intent) -> list[Occurrence]:
    """Return the first occurrences; drop the example when dateutil would take too long for as many."""
    short = any(name in intent.rule for name in ("HOURLY", "MINUTELY", "SECONDLY"))
    rare = timedelta(days=30 if short else 30_000)
    found = []
    for occurrence in islice(walk(intent), LENGTH + 1):
        assume(occurrence.local - intent.start < rare)
        found.append(occurrence)
    assume(len(found) > 1)
    if len(found) <= LENGTH and "UNTIL" in intent.rule:
        # dateutil has to see something behind the end to know that it is there.
        endless = replace(intent, rule=intent.rule.partition(";UNTIL")[0])
        beyond = list(islice(walk(endless), len(found) + 2))
        assume(len(beyond) == len(found) + 2)
        assume(beyond[-1].local - intent.start < rare)
    elif len(found) <= LENGTH:
        assume("COUNT" in intent.rule)
    return found


# Not shrunk: dateutil may need minutes for a rule that has become rarer.
FAST = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=FAST)
@given(intent=intents(), data=st.data())
def test_the_same_as_from_the_start(intent: Intent, data: st.DataObject) -> None:
    found = _found(intent)
    should = list(islice(expected(intent), LENGTH + 1))
    assert found == should
    canonical = checked(intent)
    assert list(islice(walk(canonical), LENGTH + 1)) == should
    assert checked(canonical) == canonical

    at = data.draw(st.integers(0, len(should) - 1))
    from_ms = should[at].at_ms - data.draw(st.sampled_from((0, 1, 999, 1000, 3_600_000)))
    assert first(intent, from_ms) == next(each for each in should if each.at_ms >= from_ms)

    due = data.draw(st.integers(0, at))
    more = iter(should[at + 1 :])
    now_ms = should[at].at_ms + data.draw(st.sampled_from((0, 1, 999, 60_000)))
    newest, after = should[at], next(more, None)
    while after is not None and after.at_ms <= now_ms:
        newest, after = after, next(more, None)
    assume(after is not None or len(should) <= LENGTH)
    result = missed(intent, should[due], now_ms)
    assert (result.newest, result.next, result.exact) == (newest, after, True)
    assert result.count == should.index(newest) - due + 1


RARE = (
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=YEARLY;INTERVAL=3;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=YEARLY;BYYEARDAY=366",
    "FREQ=YEARLY;BYYEARDAY=-366,60",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=TH",
    "FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO,SU",
    "FREQ=YEARLY;BYWEEKNO=1,-1;BYDAY=MO,SU;WKST=SU",
    "FREQ=YEARLY;INTERVAL=2;BYWEEKNO=51,53;BYDAY=TH",
    "FREQ=YEARLY;BYDAY=53MO",
    "FREQ=YEARLY;BYDAY=20MO,-20MO",
    "FREQ=YEARLY;BYMONTH=3,11;BYDAY=-1SU,2MO",
    "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
    "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
    "FREQ=MONTHLY;BYDAY=5MO",
    "FREQ=MONTHLY;BYDAY=-5MO,1TU",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=MONTHLY;INTERVAL=18;BYMONTHDAY=-31",
    "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1",
    "FREQ=MONTHLY;BYDAY=TU,WE,TH;BYSETPOS=3",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;BYHOUR=8,20",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU",
    "FREQ=WEEKLY;BYMONTH=2;BYDAY=MO,SU",
    "FREQ=DAILY;BYMONTH=1;INTERVAL=9",
    "FREQ=DAILY;BYHOUR=9,10;BYMINUTE=0,30;BYSETPOS=1,-1",
    "FREQ=DAILY;INTERVAL=10;BYMONTHDAY=29;BYMONTH=2",
    "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16",
    "FREQ=MINUTELY;INTERVAL=7;BYMINUTE=0,30",
    "FREQ=HOURLY;INTERVAL=5;BYHOUR=3",
    "FREQ=HOURLY;INTERVAL=36;BYDAY=SA",
    "FREQ=SECONDLY;INTERVAL=5000;BYHOUR=1,2",
    "FREQ=SECONDLY;INTERVAL=50;BYSECOND=0,10",
)


@pytest.mark.parametrize("rule", RARE)
@pytest.mark.parametrize("start", [datetime(1997, 9, 2, 9), datetime(2023, 12, 31, 1, 30)], ids=["1997", "2023"])
def test_rare_and_odd_rules(rule: str, start: datetime) -> None:
    intent = Intent(start=start, zone="Europe/Rome", rule=rule)
    found = list(islice(walk(checked(intent)), LENGTH))
    assert len(found) == LENGTH
    assert found == list(islice(expected(intent), LENGTH))


LONG_AGO = Intent(start=datetime(1990, 1, 31, 0, 0, 7), zone="Europe/Rome", rule="FREQ=MINUTELY;INTERVAL=7")


@given(at_ms=st.integers(10**12, 10**13))
@settings(max_examples=50, deadline=None)
def test_the_phase_is_kept_however_long_ago_it_began(at_ms: int) -> None:
    intent = Intent(start=LONG_AGO.start, zone="UTC", rule=LONG_AGO.rule)
    start_ms, step_ms = instant_ms(intent.start, "UTC"), 420_000
    occurrence = first(intent, at_ms)
    assert occurrence is not None
    assert occurrence.at_ms == start_ms + -(-(at_ms - start_ms) // step_ms) * step_ms
    later = following(intent, occurrence)
    assert later is not None
    assert later.at_ms == occurrence.at_ms + step_ms


@given(rule=rules())
@settings(max_examples=50, deadline=None)
def test_the_canonical_text_is_the_same_rule(rule: str) -> None:
    read = read_rule(rule)
    assert read_rule(str(read)) == read
    assert read_rule(f"rrule:{rule.lower()}") == read


@given(intent=intents())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_two_of_the_first_are_closer_than_the_shortest_gap(intent: Intent) -> None:
    found = [each.local for each in islice(walk(intent), 100)]
    gap = shortest_gap_s(intent)
    if gap is None:
        assert len(found) <= 1 or found[1] - found[0] > timedelta(days=365)
    else:
        assert all((b - a).total_seconds() >= gap for a, b in pairwise(found))
