"""Wall-clock times around the clock changes of every IANA zone.

The answers come from walking through UTC minute by minute and asking zoneinfo what the clocks show, the other way
round than the code under test does it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest

from core.contracts.reminders import Intent
from core.services.occurrences import first, instant_ms
from core.services.wall_clock import earliest_local, local_at, seconds_of

ZONES = sorted(available_timezones() - {"Factory", "localtime"})
STRIDE_S = 28 * 86_400
"""Clock changes that are undone within four weeks are not found."""
MARGIN_S = 5 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A clock change: at `at` (UTC seconds) the offset goes from `before` to `after` seconds."""

    at: int
    before: int
    after: int

    @property
    def shift(self) -> int:
        return self.after - self.before

    @property
    def year(self) -> int:
        return datetime.fromtimestamp(self.at, UTC).year

    @property
    def kind(self) -> tuple[int, int, int]:
        """By how much, at which time of day, and in which era: one of each is tried in each zone."""
        return self.shift, (self.at + self.before) % 86_400, (self.year > 2036) + (self.year > 2041)

    def clock(self) -> Iterator[tuple[int, int]]:
        """Yield (UTC seconds, what the clock shows) for each minute from before the change until after it."""
        span = abs(self.shift) + MARGIN_S
        for at in range(self.at - span, self.at + span, 60):
            yield at, at + (self.before if at < self.at else self.after)


def _offset(at: int, tz: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(at, tz).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _all_changes(zone: str) -> Iterator[Change]:
    tz = ZoneInfo(zone)
    for begin, end in ((1970, 2041), (2100, 2101)):
        earlier = int(datetime(begin, 1, 1, tzinfo=UTC).timestamp())
        before = _offset(earlier, tz)
        for later in range(earlier + STRIDE_S, int(datetime(end, 1, 1, tzinfo=UTC).timestamp()), STRIDE_S):
            after = _offset(later, tz)
            if after != before:
                low, high = later - STRIDE_S, later
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if _offset(middle, tz) == before else (low, middle)
                yield Change(at=high, before=before, after=_offset(high, tz))
            before = after


@cache
def changes(zone: str) -> list[Change]:
    """Return the newest clock change of each kind in `zone`."""
    return list({change.kind: change for change in _all_changes(zone)}.values())


def _answers(change: Change, tz: ZoneInfo) -> dict[int, int]:
    """Return {what the clock shows, or skips: the first UTC second at which it has come so far}."""
    answers: dict[int, int] = {}
    for at, shown in change.clock():
        assert shown == at + _offset(at, tz)
        answers.setdefault(shown, at)
    for skipped in range(change.at + change.before, change.at + change.after, 60):
        answers[skipped] = change.at
    return answers


@pytest.mark.parametrize("zone", ZONES)
def test_every_zone(zone: str) -> None:
    tz = ZoneInfo(zone)
    for change in changes(zone):
        answers = _answers(change, tz)
        # Every minute near the edges of what is skipped or repeated, every eleventh elsewhere.
        edges = (change.at + change.before, change.at + change.after)
        asked = [at for at in answers if at // 60 % 11 == 0 or any(abs(at - edge) <= 120 for edge in edges)]
        found = {shown: instant_ms(local_at(shown), zone) for shown in asked}
        assert found == {shown: answers[shown] * 1000 for shown in asked}
        for shown in (change.at + change.before, change.at + min(change.before, change.after)):
            occurrence = first(Intent(start=local_at(shown), zone=zone), 0)
            assert occurrence is not None
            assert occurrence.at_ms == answers[shown] * 1000
        if change.shift % 60 == 0:  # else the minutes before and after it are no common grid
            ascending = sorted(answers.items())
            instants = [at for _, at in ascending]
            for at in (change.at - 60, change.at, change.at + 60):
                earliest = earliest_local(at * 1000, zone)
                assert earliest is not None
                assert seconds_of(earliest) == ascending[bisect_left(instants, at)][0]


def test_a_zone_without_changes_is_its_offset_away() -> None:
    assert not changes("Etc/GMT-14")
    assert instant_ms(datetime(2100, 1, 1, 14), "Etc/GMT-14") == datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000


@pytest.mark.parametrize(
    ("name", "least", "condition"),
    [
        ("gap", 300, lambda change: change.shift == 3600),
        ("overlap", 300, lambda change: change.shift == -3600),
        ("half an hour", 10, lambda change: abs(change.shift) == 1800),
        ("skipped day", 3, lambda change: change.shift >= 86_400 - 3600),
        ("odd seconds", 1, lambda change: change.shift % 60 != 0),
        ("no midnight", 20, lambda change: change.shift > 0 and (change.at + change.before) % 86_400 == 0),
        ("2037 and later", 50, lambda change: 2037 <= change.year <= 2041),
        ("2100", 50, lambda change: change.year == 2100),
    ],
)
def test_the_table_holds_what_it_is_for(name: str, least: int, condition: object) -> None:
    assert callable(condition)
    found = sum(any(condition(change) for change in changes(zone)) for zone in ZONES)
    assert found >= least, f"{name}: in {found} zones only"


@pytest.mark.parametrize(
    ("local", "zone", "utc"),
    [
        (datetime(2026, 3, 29, 2, 30), "Europe/Rome", datetime(2026, 3, 29, 1)),
        (datetime(2026, 10, 25, 2, 30), "Europe/Rome", datetime(2026, 10, 25, 0, 30)),
        (datetime(2011, 12, 30, 9), "Pacific/Apia", datetime(2011, 12, 30, 10)),
        (datetime(2018, 11, 4, 0, 0), "America/Sao_Paulo", datetime(2018, 11, 4, 3)),
        (datetime(2023, 3, 26, 0, 0), "Asia/Beirut", datetime(2023, 3, 25, 22)),
        (datetime(2026, 10, 4, 2, 15), "Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30)),
        (datetime(2026, 4, 5, 1, 45), "Australia/Lord_Howe", datetime(2026, 4, 4, 14, 45)),
        (datetime(2100, 3, 28, 2, 30), "Europe/Rome", datetime(2100, 3, 28, 1)),
        (datetime(2026, 3, 29, 2, 30, 0, 250_000), "Europe/Rome", datetime(2026, 3, 29, 1)),
        (datetime(2026, 7, 1, 9, 0, 0, 250_000), "Europe/Rome", datetime(2026, 7, 1, 7, 0, 0, 250_000)),
    ],
)
def test_known_cases(local: datetime, zone: str, utc: datetime) -> None:
    assert instant_ms(local, zone) == round(utc.replace(tzinfo=UTC).timestamp() * 1000)
