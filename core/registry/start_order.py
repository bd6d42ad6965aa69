"""The order in which plugins start: what is required comes first, otherwise as they were loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StartOrder:
    """Names in order, and why the others cannot start, by name."""

    order: tuple[str, ...]
    failures: Mapping[str, str]


def start_order(requires: Mapping[str, Sequence[str]], absent: Mapping[str, str]) -> StartOrder:
    """Order plugins by what they require.

    requires: the plugins that could start, in load order. absent: why others are not there, by name; a name in
    neither is unknown.
    """
    failures: dict[str, str] = {}
    order: list[str] = []
    waiting = dict(requires)
    for _ in range(len(requires)):
        ready = next((name for name, needs in waiting.items() if all(need in order for need in needs)), None)
        if ready is None:
            break
        order.append(ready)
        del waiting[ready]
    for name in waiting:
        failures[name] = _reason(name, requires, absent)
    return StartOrder(tuple(order), failures)


def _reason(name: str, requires: Mapping[str, Sequence[str]], absent: Mapping[str, str]) -> str:
    """Follow what cannot be had down to its cause: a plugin that is not there, or a circle."""
    path = [name]
    for _ in range(len(requires) + 1):
        needs = requires[path[-1]]
        gone = next((need for need in needs if need not in requires), None)
        if gone is not None:
            cause = absent.get(gone, "there is no such plugin")
            chain = "".join(f" {needed}, which requires" for needed in path[1:])
            return f"{name} requires{chain} {gone}: {cause}."
        onwards = next((need for need in needs if not _startable(need, requires)), needs[0])
        if onwards in path:
            circle = [*path[path.index(onwards) :], onwards]
            return (
                f"{' requires '.join(circle)}: a circle."
                if circle[0] == name
                else (f"{name} requires {path[1]}, which stands in a circle: {' requires '.join(circle)}.")
            )
        path.append(onwards)
    return f"{name} requires what cannot start."


def _startable(name: str, requires: Mapping[str, Sequence[str]]) -> bool:
    """Whether everything below `name` can be had."""
    done: set[str] = set()
    for _ in range(len(requires)):
        more = {one for one, needs in requires.items() if one not in done and all(need in done for need in needs)}
        if not more:
            break
        done |= more
    return name in done
