"""What is not there for a plugin in a process of its own, and what it is told instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from core.contracts.errors import RekkuError

CURE = 'Run the plugin with isolation = "none", or keep what it has to keep in self.context.kv or in files.'


class StaysOutside(RekkuError, AttributeError):
    """Something that is no plain data, and so is not there for a plugin in a process of its own."""

    code = "isolated"


def cannot_cross(what: str, cure: str = CURE) -> NoReturn:
    """Raise the error for what stays outside."""
    raise StaysOutside(f'{what} cannot be reached from a plugin with isolation = "process".', cure=cure)


@dataclass(frozen=True, slots=True)
class Outside:
    """Stands for a service that is no plain data; using any part of it raises StaysOutside."""

    name: str

    def __getattr__(self, part: str) -> Any:
        cannot_cross(f"self.context.{self.name}.{part}")
