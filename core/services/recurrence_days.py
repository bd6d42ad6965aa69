"""Which days a repeat rule allows, and the calendar arithmetic for it; days are ordinals as in `datetime.date`."""

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass
from datetime import date

LAST_DAY = date.max.toordinal()

_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def days_in_month(year: int, month: int) -> int:
    """Return how many days the month has."""
    return 29 if month == 2 and isleap(year) else _MONTH_DAYS[month - 1]


def new_year(year: int) -> int:
    """Return the ordinal of January 1st, also for the year after the last one that `date` knows."""
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400 + 1


def weekday(day: int) -> int:
    """Return 0 for a Monday up to 6 for a Sunday."""
    return (day + 6) % 7


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFilter:
    """The parts of a rule that a day has to satisfy all of; an empty one allows every day.

    numbered: (which one, weekday), counted within the year or else within the month.
    """

    months: frozenset[int]
    week_numbers: frozenset[int]
    year_days: frozenset[int]
    month_days: frozenset[int]
    weekdays: frozenset[int]
    numbered: frozenset[tuple[int, int]]
    numbered_in_year: bool
    week_start: int

    def allows(self, day: int) -> bool:
        """Tell whether the rule may happen on `day`."""
        if self.weekdays and not self.numbered and weekday(day) not in self.weekdays:
            return False  # the cheapest to know
        when = date.fromordinal(day)
        if self.months and when.month not in self.months:
            return False
        if self.month_days:
            length = days_in_month(when.year, when.month)
            if when.day not in self.month_days and when.day - length - 1 not in self.month_days:
                return False
        if self.year_days:
            number = day - new_year(when.year) + 1
            if number not in self.year_days and number - _year_length(when.year) - 1 not in self.year_days:
                return False
        if self.week_numbers and not self._allows_week(day, when.year):
            return False
        return not self.numbered or weekday(day) in self.weekdays or self._allows_number(day, when)

    def _allows_number(self, day: int, when: date) -> bool:
        if self.numbered_in_year:
            index, length = day - new_year(when.year), _year_length(when.year)
        else:
            index, length = when.day - 1, days_in_month(when.year, when.month)
        from_start, from_end = index // 7 + 1, -((length - 1 - index) // 7 + 1)
        return (from_start, weekday(day)) in self.numbered or (from_end, weekday(day)) in self.numbered

    def _allows_week(self, day: int, year: int) -> bool:
        """Compare the number of the week that `day` is in; week 1 is the first with four days in its year."""
        if day < self._week_one(year):
            year -= 1
        elif day >= self._week_one(year + 1):
            year += 1
        start = self._week_one(year)
        number, weeks = (day - start) // 7 + 1, (self._week_one(year + 1) - start) // 7
        return number in self.week_numbers or number - weeks - 1 in self.week_numbers

    def _week_one(self, year: int) -> int:
        fourth = new_year(year) + 3  # January 4th is always in week 1
        return fourth - (weekday(fourth) - self.week_start) % 7


def _year_length(year: int) -> int:
    return 366 if isleap(year) else 365
