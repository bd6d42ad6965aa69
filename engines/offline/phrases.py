"""Phrases such as "roll a d{sides}", compiled from a catalogue and matched against what somebody wrote.

Matching is a table over (place in the phrase, place in the text), filled once from the end: its cost is the product
of the two lengths, whatever the text. No regular expression is built from a phrase.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TypeAlias

from core.contracts.actions import ActionSpec
from core.contracts.json import JsonObject
from engines.offline.values import MISSING, FieldType
from engines.offline.words import Word, split_words

MAX_CATALOGUES = 8
MAX_WORDS_OF_A_TYPED_VALUE = 12

_FIELD = re.compile(r"\{(\w+)\}")
_QUOTES = {'"': '"', "'": "'", "“": "”", "«": "»"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A `{field}` of a phrase."""

    name: str
    type: FieldType


Element: TypeAlias = str | Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """One phrase of one action. `literals` are its fixed words; `rank` is higher the more specific it is."""

    spec: ActionSpec
    text: str
    elements: tuple[Element, ...]
    literals: frozenset[str]
    rank: tuple[int, int, int, int]

    @property
    def fixed_text(self) -> str:
        """The phrase without its fields, in plain words."""
        return " ".join(element for element in self.elements if isinstance(element, str))

    @property
    def shown(self) -> str:
        """The phrase as a person is shown it."""
        return _FIELD.sub(r"<\1>", self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A phrase that a text fits, and what its fields are then."""

    phrase: Phrase
    payload: JsonObject


@dataclass(frozen=True, slots=True)
class Grammar:
    """The phrases of one catalogue, the most specific first."""

    actions: tuple[ActionSpec, ...]
    phrases: tuple[Phrase, ...]

    def match(self, text: str, words: list[Word]) -> list[Match]:
        """Return the best matches of `words`, which are words of `text`: one for each action that ties."""
        present = {word.text for word in words}
        best: dict[str, Match] = {}
        for phrase in self.phrases:
            if best and phrase.rank < next(iter(best.values())).phrase.rank:
                break
            if phrase.spec.type not in best and phrase.literals <= present:
                payload = _fit(phrase, text, words)
                if payload is not None:
                    best[phrase.spec.type] = Match(phrase=phrase, payload=payload)
        return list(best.values())


@dataclass(slots=True)
class GrammarCache:
    """Compiled grammars by the identity of their catalogue; beyond MAX_CATALOGUES the least recently used leaves."""

    # A grammar keeps its specs alive, so that an identity in a key cannot come to mean another spec.
    _kept: OrderedDict[tuple[int, ...], Grammar] = field(default_factory=OrderedDict)

    def get(self, actions: tuple[ActionSpec, ...]) -> Grammar:
        """Return the grammar of a catalogue, compiled when it is first seen."""
        key = tuple(map(id, actions))
        grammar = self._kept.get(key)
        if grammar is None:
            grammar = compile_grammar(actions)
            self._kept[key] = grammar
            if len(self._kept) > MAX_CATALOGUES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return grammar


def compile_grammar(actions: tuple[ActionSpec, ...]) -> Grammar:
    """Compile every phrase of a catalogue that can give a payload with all required fields."""
    phrases = [phrase for spec in actions for text in spec.phrases if (phrase := _compile(spec, text)) is not None]
    return Grammar(actions, tuple(sorted(phrases, key=lambda phrase: phrase.rank, reverse=True)))


def _compile(spec: ActionSpec, text: str) -> Phrase | None:
    """Return the phrase, or None where it names unknown fields, one twice, or leaves a required one out."""
    elements: list[Element] = []
    names: list[str] = []
    for place, piece in enumerate(_FIELD.split(text)):
        if place % 2 == 0:
            elements += [word.text for word in split_words(piece) if not word.may_be_skipped]
        elif piece in names or piece not in spec.fields:
            return None
        else:
            names.append(piece)
            elements.append(Slot(name=piece, type=FieldType(spec.fields[piece], spec.schema)))
    if not elements or not set(spec.required) <= set(names):
        return None
    literals = [element for element in elements if isinstance(element, str)]
    typed = sum(isinstance(element, Slot) and not element.type.is_text for element in elements)
    rank = (len(literals), sum(map(len, literals)), typed, -len(names))
    return Phrase(spec=spec, text=text, elements=tuple(elements), literals=frozenset(literals), rank=rank)


def _fit(phrase: Phrase, text: str, words: list[Word]) -> JsonObject | None:
    """Return the payload that `words` give the phrase, or None when they do not fit it from end to end."""
    count = len(words)
    # fits[i]: the elements from here on fit the words from i on. ends[place][i]: where a slot that begins at i ends.
    fits = bytearray(count + 1)
    fits[count] = 1
    for i in range(count - 1, -1, -1):
        fits[i] = fits[i + 1] and words[i].is_mark
    ends: list[dict[int, int]] = []
    for element in reversed(phrase.elements):
        row, row_ends = bytearray(count + 1), {}
        if isinstance(element, str):
            for i in range(count - 1, -1, -1):
                taken = words[i].text == element and fits[i + 1]
                row[i] = 1 if taken or (words[i].may_be_skipped and row[i + 1]) else 0
        elif element.type.is_text:
            last = fits.rfind(1)  # greedy: as far as the rest of the phrase still fits
            for i in range(last):
                row[i], row_ends[i] = 1, last
        else:
            for i in range(count - 1, -1, -1):
                end = _typed_end(element, text, words, i, fits)
                if end:
                    row[i], row_ends[i] = 1, end
                elif words[i].may_be_skipped and row[i + 1]:
                    row[i] = 1
        fits = row
        ends.append(row_ends)
    return _payload(phrase, text, words, ends[::-1]) if fits[0] else None


def _typed_end(slot: Slot, text: str, words: list[Word], start: int, fits: bytearray) -> int:
    """Return where the longest value of the slot's type that begins at `start` ends, or 0."""
    for end in range(min(start + MAX_WORDS_OF_A_TYPED_VALUE, len(words)), start, -1):
        if fits[end] and slot.type.read(text[words[start].start : words[end - 1].end]) is not MISSING:
            return end
    return 0


def _payload(phrase: Phrase, text: str, words: list[Word], ends: list[dict[int, int]]) -> JsonObject | None:
    """Walk the words along a fit that is known to exist, and read the slots' values."""
    payload: JsonObject = {}
    i = 0
    for element, element_ends in zip(phrase.elements, ends, strict=True):
        if isinstance(element, str):
            while words[i].text != element:
                i += 1
            i += 1
            continue
        while i not in element_ends:
            i += 1
        end = element_ends[i]
        value = element.type.read(_bare(text[words[i].start : words[end - 1].end]))
        if value is MISSING or value == "":
            return None
        payload[element.name] = value
        i = end
    return payload


def _bare(text: str) -> str:
    """Return a captured text without the marks behind it, or without the quotes around the whole of it."""
    stripped = text.strip().rstrip("?!.,;: \t\n")
    for candidate in (stripped, text.strip()):
        if len(candidate) > 2 and _QUOTES.get(candidate[0]) == candidate[-1]:
            return candidate[1:-1]
    return stripped
