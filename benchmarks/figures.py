"""Figures with their targets, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. at_most, at_least: the target, in the same unit."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    @property
    def target(self) -> str:
        """The target in words."""
        if self.at_most is not None:
            return f"at most {_plain(self.at_most)}"
        return "" if self.at_least is None else f"at least {_plain(self.at_least)}"

    def as_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "target": self.target or None,
            "met": self.met,
        }


def table(figures: Sequence[Figure]) -> str:
    """Return lines of name, value, unit, target, and whether it is met."""
    rows = [
        (f.name, _plain(f.value), f.unit, f.target, "" if f.met is None else "met" if f.met else "MISSED")
        for f in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}} {unit:<{widths[2]}}  {target:<{widths[3]}}  {met}".rstrip()
        for name, value, unit, target, met in rows
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of `values` lies (0.5: the median)."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _plain(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
