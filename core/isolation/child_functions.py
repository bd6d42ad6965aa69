"""Functions of the plugin that Rekku calls by a number: what was subscribed, begun or contributed while it runs."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.contracts.json import Json
from core.event_conditions import condition_as_data
from core.isolation.codec import CannotCross, encode
from core.services.foreign import contained
from core.services.json_results import json_result
from core.services.sync_or_async import invoke


@dataclass(frozen=True, slots=True)
class _Kept:
    function: Callable[..., Any]
    label: str
    in_loop: bool


class ChildFunctions:
    """The functions of one plugin that Rekku knows by number."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._kept: dict[int, _Kept] = {}

    def keep(self, function: Callable[..., Any], label: str, *, in_loop: bool = False) -> int:
        """Return a number for a function. in_loop: it is called in the event loop also where it is no coroutine's."""
        number = next(self._numbers)
        self._kept[number] = _Kept(function, label, in_loop)
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
        if not kept.in_loop:
            return await crossing(await invoke(kept.function, *args), kept.label)
        value = kept.function(*args)
        return await crossing(await contained(value) if inspect.isawaitable(value) else value, kept.label)


async def crossing(value: Any, label: str) -> Any:
    """Return a value that can cross: as it is, or what it is as JSON; raises ActionFailed for what is neither."""
    try:
        encode(value)
    except CannotCross:
        return await json_result(value, label)
    return value
