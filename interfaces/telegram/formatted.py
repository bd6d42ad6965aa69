"""Text with entities: what Telegram shows, and how. Offsets count characters here; `wire` makes UTF-16 of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from core.contracts.json import JsonObject

FIRST_OF_TWO_UNITS = 0x10000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One entity: `kind` is Telegram's name of it (bold, pre, text_link, …), over `text[start:end]`."""

    kind: str
    start: int
    end: int
    url: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """A text and its entities; these lie inside it, and are not empty."""

    text: str
    spans: tuple[Span, ...] = ()

    def wire(self) -> list[JsonObject]:
        """Return the entities as Telegram takes them: offset and length in UTF-16 code units.

        Source: https://core.telegram.org/bots/api#messageentity
        """
        wide = [index for index, mark in enumerate(self.text) if ord(mark) >= FIRST_OF_TWO_UNITS]

        def units(index: int) -> int:
            return index + bisect_left(wide, index)

        entities: list[JsonObject] = []
        for span in self.spans:
            offset = units(span.start)
            entity: JsonObject = {"type": span.kind, "offset": offset, "length": units(span.end) - offset}
            if span.url:
                entity["url"] = span.url
            if span.language:
                entity["language"] = span.language
            entities.append(entity)
        return entities


def utf16_length(text: str) -> int:
    """Return the length of a text in UTF-16 code units."""
    return len(text) + sum(1 for mark in text if ord(mark) >= FIRST_OF_TWO_UNITS)


def without_lone_surrogates(text: str) -> str:
    """Return a text that can be encoded: halves of surrogate pairs that stand alone become U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def outside(span: Span, others: Sequence[Span]) -> list[Span]:
    """Return the pieces of a span that lie in none of `others`, which are sorted and do not overlap."""
    pieces: list[Span] = []
    start = span.start
    for other in others[max(0, bisect_left(others, span.start, key=lambda one: one.end)) :]:
        if other.start >= span.end:
            break
        if other.start > start:
            pieces.append(_cut(span, start, other.start))
        start = max(start, other.end)
    if start < span.end:
        pieces.append(_cut(span, start, span.end))
    return pieces


def _cut(span: Span, start: int, end: int) -> Span:
    return Span(kind=span.kind, start=start, end=end, url=span.url, language=span.language)
