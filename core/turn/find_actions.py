"""Finding actions by words about them, for a model that has not been told of them all. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import log

from core.contracts.actions import ActionSpec

MOST_FOUND = 5
SHORTEST_STEM = 4

_WORD = re.compile(r"[^\W_]+")


def find_actions(about: str, specs: Sequence[ActionSpec], most: int = MOST_FOUND) -> list[ActionSpec]:
    """Return the actions that fit the words best, best first; [] when none of the words is anywhere.

    A word counts for more in a name than in a description, and the rarer it is among the actions. Two words are the
    same when one begins with the other, from four letters on ("remind", "reminders").
    """
    asked = set(_words(about))
    places = [(spec, _weighed(spec)) for spec in specs]
    frequency = Counter(word for _, words in places for word in asked if _best(word, words))
    scored = []
    for order, (spec, words) in enumerate(places):
        score = sum(_best(word, words) * (1 + log(len(specs) / frequency[word])) for word in asked if frequency[word])
        if score:
            scored.append((-score, order, spec))
    return [spec for _, _, spec in sorted(scored, key=lambda each: each[:2])[:most]]


def _weighed(spec: ActionSpec) -> dict[str, float]:
    words: dict[str, float] = {}
    for weight, text in (
        (1.0, " ".join([spec.description, *spec.phrases, *spec.fields])),
        (2.0, spec.plugin),
        (3.0, spec.type),
    ):
        words.update(dict.fromkeys(_words(text), weight))
    return words


def _best(word: str, words: dict[str, float]) -> float:
    if word in words:
        return words[word]
    stems = (weight / 2 for other, weight in words.items() if _same_stem(word, other))
    return max(stems, default=0.0)


def _same_stem(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= SHORTEST_STEM and longer.startswith(shorter)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
