"""Text as a sequence of words, the same for phrases and for what people write."""

from __future__ import annotations

import re
from dataclasses import dataclass

ARTICLES = frozenset({"a", "an", "the"})
SOFT_MARKS = frozenset(",;:.!?…¿¡")

_WORD = re.compile(r"[^\W\d_]++(?:'[^\W\d_]++)*+|\d++|[^\w\s]|_")
_CONTRACTIONS = {
    "'s": "is",
    "'re": "are",
    "'m": "am",
    "'ll": "will",
    "'ve": "have",
    "'d": "would",
    "n't": "not",
}
_WITHOUT_APOSTROPHE = {"whats": "'s", "wheres": "'s", "whos": "'s", "hows": "'s", "dont": "n't", "im": "'m"}

_OPENINGS = tuple(
    tuple(words.split())
    for words in (
        "hey",
        "hi",
        "hello",
        "ok",
        "okay",
        "rekku",
        "please",
        "kindly",
        "can you",
        "could you",
        "would you",
        "will you",
        "tell me",
        "i want you to",
        "i would like you to",
    )
)
_CLOSINGS = frozenset({"please", "rekku"})
_BETWEEN = frozenset(",;:!")
_MAX_COURTESIES = 8


@dataclass(frozen=True, slots=True)
class Word:
    """One word in lower case (or a number, or a mark), and where it stands in the text."""

    text: str
    start: int
    end: int

    @property
    def is_mark(self) -> bool:
        """Whether it is punctuation that means nothing between words."""
        return self.text in SOFT_MARKS

    @property
    def may_be_skipped(self) -> bool:
        """Whether it may stand where a phrase does not have it."""
        return self.text in SOFT_MARKS or self.text in ARTICLES


def split_words(text: str) -> list[Word]:
    """Return the words of a text, in linear time; contractions are two words, letters and digits never one."""
    words: list[Word] = []
    for match in _WORD.finditer(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        word, start, end = match[0].casefold(), match.start(), match.end()
        tail = _contracted_tail(word)
        if tail:
            cut = end - len(tail.replace("'", "") if word in _WITHOUT_APOSTROPHE else tail)
            stem = text[start:cut].casefold().rstrip("'")
            words += [Word(stem, start, cut), Word(_CONTRACTIONS[tail], cut, end)]
        else:
            words.append(Word(word, start, end))
    return words


def without_courtesies(words: list[Word]) -> list[Word]:
    """Return the words without "hey rekku", "could you", "please" and the like around them."""
    rest = words
    for _ in range(_MAX_COURTESIES):
        while rest and rest[0].text in _BETWEEN:
            rest = rest[1:]
        texts = tuple(word.text for word in rest[:5])
        opening = next((o for o in _OPENINGS if texts[: len(o)] == o), None)
        if opening is None:
            break
        rest = rest[len(opening) :]
    for _ in range(_MAX_COURTESIES):
        kept = rest
        while kept and kept[-1].is_mark:
            kept = kept[:-1]
        if not kept or kept[-1].text not in _CLOSINGS:
            break
        rest = kept[:-1]
    return rest


def _contracted_tail(word: str) -> str:
    if "'" not in word:
        return _WITHOUT_APOSTROPHE.get(word, "")
    return next((tail for tail in _CONTRACTIONS if word.endswith(tail) and len(word) > len(tail)), "")
