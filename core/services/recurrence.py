"""The wall-clock times of a repeat rule, from any point on.

Each period of the rule (year, month, week, day …) can be computed by itself, so a search starts at the period that
it needs, however long ago the rule began, and a rule that never happens is found out in bounded time. Times are whole
seconds since 1970-01-01 00:00 on the rule's own clock; the time zone is none of this module's business.

What RFC 5545 leaves open: a start that does not match the rule is not an occurrence and does not count; a period is
complete for BYSETPOS even when the rule begins in its middle; FREQ=YEARLY with BYWEEKNO alone means the weekday of
the start, as other parts that a rule leaves out are taken from its start.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from math import gcd

from core.services.recurrence_days import LAST_DAY, DayFilter, days_in_month, new_year, weekday
from core.services.recurrence_rules import Frequency, Rule
from core.services.wall_clock import local_at

_DAY_S = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()

_CYCLE_DAYS = 146_097
"""The calendar repeats after 400 years: a rule that finds nothing in so long will, as good as ever, find nothing."""
_CYCLES = {Frequency.YEARLY: 400, Frequency.MONTHLY: 4_800, Frequency.WEEKLY: 20_871}
"""The same in periods."""
_UNITS_S = {Frequency.DAILY: _DAY_S, Frequency.HOURLY: 3_600, Frequency.MINUTELY: 60, Frequency.SECONDLY: 1}


class Recurrence:
    """A rule that begins at a certain time; COUNT and UNTIL are the caller's business."""

    def __init__(self, rule: Rule, start: int) -> None:
        self.start = start
        self.rule = rule = _completed(rule, start)
        self._days = DayFilter(
            months=frozenset(rule.months),
            week_numbers=frozenset(rule.week_numbers),
            year_days=frozenset(rule.year_days),
            month_days=frozenset(rule.month_days),
            weekdays=frozenset(day for nth, day in rule.days if not nth),
            numbered=frozenset((nth, day) for nth, day in rule.days if nth),
            numbered_in_year=rule.frequency is Frequency.YEARLY and not rule.months,
            week_start=rule.week_start,
        )
        self._times = _times_in_period(rule)

    def between(self, first: int, last: int, *, patience: int | None = None) -> Iterator[int]:
        """Yield the times of the rule from `first` to `last`, both included, ascending.

        It ends early when it has searched in vain for longer than a rule that happens can take; with `patience`,
        also after so many periods in vain all in all.
        """
        first = max(first, self.start)
        if self.rule.frequency in _UNITS_S:
            yield from self._by_clock(first, last, patience)
        else:
            yield from self._by_calendar(first, last, patience)

    def latest(self, first: int, last: int) -> int | None:
        """Return the last time of the rule from `first` to `last`, in about as many searches as `last` has bits."""
        found = next(self.between(first, last), None)
        if found is None:
            return None
        beyond = last + 1
        while beyond - found > 1:
            middle = (found + beyond) // 2
            later = next(self.between(middle, last), None)
            if later is None:
                beyond = middle
            else:
                found = later
        return found

    def _by_calendar(self, first: int, last: int, patience: int | None) -> Iterator[int]:
        """Yield for years, months and weeks: period by period, its days times the times of a day."""
        rule, interval = self.rule, self.rule.interval
        cycle = _CYCLES[rule.frequency]
        limit, vain = cycle // gcd(cycle, interval), 0
        period = self._period(self.start)
        period += max(0, -(-(self._period(first) - period) // interval)) * interval
        while vain <= limit and (patience is None or patience > 0):
            days = self._days_of(period)
            if days is None or _EPOCH_DAY + last // _DAY_S < days.start:
                return
            vain += 1
            for time in self._of_days(self._allowed(days), first):
                if time > last:
                    return
                yield time
                vain = 0
            if vain and patience is not None:
                patience -= 1
            period += interval

    def _allowed(self, days: range) -> list[int]:
        """Return the days of a period that the rule allows."""
        allows, months = self._days.allows, self._days.months
        if self.rule.frequency is not Frequency.YEARLY or not months:
            return [day for day in days if allows(day)]
        year, found, start = date.fromordinal(days.start).year, [], days.start
        for month in range(1, 13):
            length = days_in_month(year, month)
            if month in months:
                found += [day for day in range(start, start + length) if allows(day)]
            start += length
        return found

    def _of_days(self, days: list[int], first: int) -> Iterator[int]:
        """Yield the times on `days`, from `first` on, that BYSETPOS leaves."""
        times = self._times
        if self.rule.positions:
            for index in _chosen(self.rule.positions, len(days) * len(times)):
                day, time = divmod(index, len(times))
                if (found := _midnight(days[day]) + times[time]) >= first:
                    yield found
            return
        for day in days:
            midnight = _midnight(day)
            for time in times[bisect_left(times, first - midnight) :]:
                yield midnight + time

    def _period(self, time: int) -> int:
        """Return the number of the period that `time` is in."""
        day = _EPOCH_DAY + time // _DAY_S
        match self.rule.frequency:
            case Frequency.YEARLY:
                return date.fromordinal(day).year
            case Frequency.MONTHLY:
                when = date.fromordinal(day)
                return when.year * 12 + when.month - 1
            case _:
                return (day - 1 - self.rule.week_start) // 7

    def _days_of(self, period: int) -> range | None:
        """Return the days of a period, or None when the calendar ends before it."""
        match self.rule.frequency:
            case Frequency.YEARLY:
                return range(new_year(period), new_year(period + 1)) if period <= date.max.year else None
            case Frequency.MONTHLY:
                year, month = divmod(period, 12)
                if year > date.max.year:
                    return None
                start = date(year, month + 1, 1).toordinal()
                return range(start, start + days_in_month(year, month + 1))
            case _:
                start = period * 7 + 1 + self.rule.week_start
                return range(start, min(start + 7, LAST_DAY + 1)) if start <= LAST_DAY else None

    def _by_clock(self, first: int, last: int, patience: int | None) -> Iterator[int]:
        """Yield for days, hours, minutes and seconds: over what the rule does not allow it jumps."""
        unit, inside = _UNITS_S[self.rule.frequency], self._times
        step, anchor = self.rule.interval * unit, self.start - self.start % unit
        cycle_s = _CYCLE_DAYS * _DAY_S
        limit, vain = min(_CYCLE_DAYS, cycle_s // gcd(cycle_s, step)), 0
        reach = max(cycle_s, limit * step)
        chosen = _chosen(self.rule.positions, len(inside)) if self.rule.positions else range(len(inside))
        period = anchor + -(-(first - first % unit - anchor) // step) * step
        horizon = period + reach
        while period <= min(last, horizon) and vain <= limit and (patience is None or patience > 0):
            jump, found = self._next_allowed(period), False
            for index in chosen if jump is None else ():
                time = period + inside[index]
                if time > last:
                    return
                if time >= first:
                    yield time
                    found = True
            if found:
                vain, horizon = 0, period + reach
            else:
                vain += 1
                patience = None if patience is None else patience - 1
            period += step if jump is None else -(-(jump - period) // step) * step

    def _next_allowed(self, period: int) -> int | None:
        """Return where to look next when the rule does not allow the period at `period`, else None."""
        rule, frequency = self.rule, self.rule.frequency
        day, time = divmod(period, _DAY_S)
        midnight = period - time
        if not self._days.allows(_EPOCH_DAY + day):
            when = date.fromordinal(_EPOCH_DAY + day)
            if rule.months and when.month not in rule.months:
                return midnight + (days_in_month(when.year, when.month) - when.day + 1) * _DAY_S
            return midnight + _DAY_S
        hour, minute, second = time // 3600, time // 60 % 60, time % 60
        if frequency >= Frequency.HOURLY and rule.hours and hour not in rule.hours:
            return midnight + _after(rule.hours, hour, 24) * 3600
        if frequency >= Frequency.MINUTELY and rule.minutes and minute not in rule.minutes:
            return period - time % 3600 + _after(rule.minutes, minute, 60) * 60
        if frequency is Frequency.SECONDLY and rule.seconds and second not in rule.seconds:
            return period - second + _after(rule.seconds, second, 60)
        return None


def _completed(rule: Rule, start: int) -> Rule:
    """Return the rule with what it leaves out taken from its start."""
    when = local_at(start)
    if rule.frequency < Frequency.HOURLY and not rule.hours:
        rule = replace(rule, hours=(when.hour,))
    if rule.frequency < Frequency.MINUTELY and not rule.minutes:
        rule = replace(rule, minutes=(when.minute,))
    if rule.frequency < Frequency.SECONDLY and not rule.seconds:
        rule = replace(rule, seconds=(when.second,))
    if rule.days or rule.month_days or rule.year_days:
        return rule
    if rule.frequency is Frequency.WEEKLY or rule.week_numbers:
        return replace(rule, days=((0, weekday(when.toordinal())),))
    if rule.frequency in (Frequency.YEARLY, Frequency.MONTHLY):
        months = rule.months or ((when.month,) if rule.frequency is Frequency.YEARLY else ())
        return replace(rule, months=months, month_days=(when.day,))
    return rule


def _times_in_period(rule: Rule) -> tuple[int, ...]:
    """Return the times within a day, or within a period that is shorter, in seconds from its start."""
    hours = (0,) if rule.frequency >= Frequency.HOURLY else rule.hours
    minutes = (0,) if rule.frequency >= Frequency.MINUTELY else rule.minutes
    seconds = (0,) if rule.frequency is Frequency.SECONDLY else rule.seconds
    return tuple(hour * 3600 + minute * 60 + second for hour in hours for minute in minutes for second in seconds)


def _midnight(day: int) -> int:
    return (day - _EPOCH_DAY) * _DAY_S


def _chosen(positions: Iterable[int], total: int) -> list[int]:
    """Return the indices, from 0, that BYSETPOS chooses of `total` times, ascending."""
    indices = {position - 1 if position > 0 else total + position for position in positions}
    return sorted(index for index in indices if 0 <= index < total)


def _after(allowed: tuple[int, ...], value: int, otherwise: int) -> int:
    """Return the first of `allowed` that is greater than `value`, or `otherwise`."""
    place = bisect_right(allowed, value)
    return allowed[place] if place < len(allowed) else otherwise
