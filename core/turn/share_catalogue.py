"""How much of each action the model is told when there are more of them than the prompt has room for. Pure.

All are told whole while they fit. Beyond that, what is told whole is the core's own, then what the operator wants to
be, then the others in the order in which they were loaded, for as long as there is room; of the rest there is a line,
a name or just the number in its plugin, whichever is the most that fits. What is told depends on the actions alone,
never on what is said, so that the beginning of the prompt stays the same.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from core.contracts.actions import MESSAGE_ACTION, ActionSpec

DESCRIBE_ACTION = "describe_actions"
ALWAYS_WHOLE = (MESSAGE_ACTION, DESCRIBE_ACTION)
MOST_OF_A_SENTENCE = 80

_MORE = f"More actions. {DESCRIBE_ACTION} tells you what one takes; ask it before you use one."
_BY_PLUGIN = f"{_MORE} By plugin:"
_COUNTS = f"More actions, too many to name, by plugin. {DESCRIBE_ACTION} finds one by words about it. Plugins:"
_AND_MORE = "and {} more plugins."
_SENTENCE = re.compile(r"(.+?[.!?])(\s|$)", re.DOTALL)


Tell: TypeAlias = Callable[[Sequence[ActionSpec]], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """whole: the actions that are told whole. rest: the lines that tell of the others, none when there are none."""

    whole: tuple[ActionSpec, ...]
    rest: tuple[str, ...] = ()


def share_out(
    specs: Sequence[ActionSpec], cost: Callable[[ActionSpec], int], room: int, wanted: Iterable[str] = ()
) -> Shares:
    """Return how `specs`, in the order of their loading, are told in `room` bytes.

    cost: the bytes of an action that is told whole. wanted: globs of actions that go before the others.
    """
    ordinary = [spec for spec in specs if spec.type != DESCRIBE_ACTION]
    costs = {spec.type: cost(spec) for spec in specs}
    if sum(costs[spec.type] for spec in ordinary) <= room:
        return Shares(whole=tuple(ordinary))
    first = [spec for spec in specs if spec.type in ALWAYS_WHOLE]
    wishes = tuple(wanted)
    others = [spec for spec in specs if spec.type not in ALWAYS_WHOLE]
    others.sort(key=lambda spec: not _is_wanted(spec, wishes))  # stable: otherwise as they were loaded
    left = room - sum(costs[spec.type] for spec in first)
    least = sum(_is_wanted(spec, wishes) for spec in others)

    def size(tell: Tell, count: int) -> int:
        return sum(costs[spec.type] for spec in others[:count]) + _size(tell(others[count:]))

    tell = next((each for each in (_sentences, _names) if size(each, least) <= left), _counts)
    # One more that is told whole always takes more room than its name did.
    count = bisect_left(range(1, len(others) + 1), True, key=lambda count: size(tell, count) > left)
    left -= sum(costs[spec.type] for spec in others[:count])
    return Shares(whole=(*first, *others[:count]), rest=tuple(_cut(tell(others[count:]), left)))


def _sentences(specs: Sequence[ActionSpec]) -> list[str]:
    return [_MORE, *(f"{spec.type}: {_first_sentence(spec.description)}" for spec in _in_order(specs))]


def _names(specs: Sequence[ActionSpec]) -> list[str]:
    return [_BY_PLUGIN, *(f"{plugin}: {', '.join(names)}" for plugin, names in _by_plugin(specs).items())]


def _counts(specs: Sequence[ActionSpec]) -> list[str]:
    return [_COUNTS, *(f"{plugin} ({len(names)})" for plugin, names in _by_plugin(specs).items())]


def _by_plugin(specs: Sequence[ActionSpec]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for spec in sorted(specs, key=lambda spec: (spec.plugin, spec.type)):
        names.setdefault(spec.plugin or "other", []).append(spec.type)
    return names


def _in_order(specs: Sequence[ActionSpec]) -> list[ActionSpec]:
    return sorted(specs, key=lambda spec: spec.type)


def _first_sentence(description: str) -> str:
    found = _SENTENCE.match(description)
    sentence = " ".join((found[1] if found else description).split())
    return sentence if len(sentence) <= MOST_OF_A_SENTENCE else sentence[: MOST_OF_A_SENTENCE - 1] + "…"


def _cut(lines: list[str], room: int) -> list[str]:
    """Return the lines that fit; how many are left out is said by the last one."""
    kept = list(lines)
    while len(kept) > 1 and _size(kept) + len(_AND_MORE) > room:
        kept.pop()
    return (
        [*kept, _AND_MORE.format(len(lines) - len(kept))] if len(kept) < len(lines) and _size(lines) > room else lines
    )


def _is_wanted(spec: ActionSpec, wishes: tuple[str, ...]) -> bool:
    return any(spec.type == wish or (wish.endswith("*") and spec.type.startswith(wish[:-1])) for wish in wishes)


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
