"""Functions of the plugin that Rekku calls by a number: what was subscribed, begun or contributed while it runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.contracts.json import Json
from core.event_conditions import condition_as_data
from core.isolation.codec import CannotCross, encode
from core.services.json_results import json_result
from core.services.sync_or_async import invoke


@dataclass(frozen=True, slots=True)
class _Kept:
    function: Callable[..., Any]
    label: str


class ChildFunctions:
    """The functions of one plugin that Rekku knows by number."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._kept: dict[int, _Kept] = {}

    def keep(self, function: Callable[..., Any], label: str) -> int:
        """Return a number for a function."""
        number = next(self._numbers)
        self._kept[number] = _Kept(function, label)
        return number

    def keep_condition(self, condition: Any, label: str) -> list[Json]:
        """Return a condition of events as Rekku is told of it: as data, or the number of its function."""
        data = condition_as_data(condition)
        return [data, 0] if data is not None else [None, self.keep(condition, label)]

    def drop(self, number: int) -> None:
        """Forget a function."""
        self._kept.pop(number, None)

    async def run(self, number: int, args: list[Any]) -> Any:
        """Return what a function returns as what can cross; None for one that was dropped meanwhile."""
        kept = self._kept.get(number)
        if kept is None:
            return None
        return await crossing(await invoke(kept.function, *args), kept.label)


async def crossing(value: Any, label: str) -> Any:
    """Return a value that can cross: as it is, or what it is as JSON; raises ActionFailed for what is neither."""
    try:
        encode(value)
    except CannotCross:
        return await json_result(value, label)
    return value
