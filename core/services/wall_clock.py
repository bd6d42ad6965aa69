"""Between the wall clock of a zone and instants.

The policy: a wall-clock time that does not exist (clocks go forward, a day is skipped) is the first instant after the
gap; one that exists twice (clocks go back) is the first of the two. So later wall-clock times are never earlier
instants, which the searches here and in `occurrences` rely on.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1)
LAST = datetime(9999, 12, 31, 23, 59, 59)
"""The last whole second that Python's datetime knows."""

_SECOND = timedelta(seconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_S = 86_400


def seconds_of(local: datetime) -> int:
    """Return the whole seconds from 1970-01-01 00:00 to `local`, both on the same clock."""
    return (local - EPOCH) // _SECOND


def local_at(seconds: int) -> datetime:
    """Return the clock `seconds` after 1970-01-01 00:00; undoes `seconds_of`."""
    return EPOCH + timedelta(seconds=seconds)


def instant_ms(local: datetime, zone: str) -> int:
    """Return the instant, in UTC milliseconds, of the naive wall-clock time `local` in the IANA zone `zone`."""
    return read_clock(local, zone)[0]


def read_clock(local: datetime, zone: str) -> tuple[int, datetime | None]:
    """Return the instant, in UTC milliseconds, of the naive wall-clock time `local` in the IANA zone `zone`.

    With it, where `local` does not exist, what the clock shows right after the gap that it falls into.
    """
    tz = ZoneInfo(zone)
    first, second = _offsets(local, tz)
    if first >= second:  # it exists once or twice: the offset that holds first gives the earlier instant
        return (local - EPOCH - first) // _MILLISECOND, None
    end = _end_of_gap(local, tz)
    return (end - EPOCH - second) // _MILLISECOND, end


def earliest_local(at_ms: int, zone: str) -> datetime | None:
    """Return the first whole-second wall-clock time in `zone` whose instant is at or after `at_ms`.

    None when there is none up to the year 9999. `at_ms` has to lie in 1970 or later, give or take a day.
    """
    middle = -(-at_ms // 1000)
    # Offsets are shorter than a day, so the answer lies within a day of the same figures in UTC.
    too_early, late_enough = middle - _DAY_S, min(middle + _DAY_S, seconds_of(LAST))
    if too_early >= late_enough or instant_ms(local_at(late_enough), zone) < at_ms:
        return None
    while late_enough - too_early > 1:
        probe = (too_early + late_enough) // 2
        if instant_ms(local_at(probe), zone) < at_ms:
            too_early = probe
        else:
            late_enough = probe
    return local_at(late_enough)


def _offsets(local: datetime, tz: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Return the UTC offsets for the first and the second reading of `local` (PEP 495).

    They differ where it exists twice (the second is smaller) and where it does not exist (the second is larger).
    """
    first = local.replace(tzinfo=tz, fold=0).utcoffset()
    second = local.replace(tzinfo=tz, fold=1).utcoffset()
    assert first is not None
    assert second is not None
    return first, second


def _end_of_gap(local: datetime, tz: ZoneInfo) -> datetime:
    """Return the first wall-clock time after the gap around `local`: where the first reading takes the new offset."""
    before, after = _offsets(local, tz)
    inside = seconds_of(local)
    behind = inside + (after - before) // _SECOND
    while behind - inside > 1:
        probe = (inside + behind) // 2
        if local_at(probe).replace(tzinfo=tz).utcoffset() == before:
            inside = probe
        else:
            behind = probe
    return local_at(behind)
