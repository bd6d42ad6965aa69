"""Cutting a formatted text into messages: by UTF-16 length, at words if it can be, entities closed and reopened."""

from __future__ import annotations

from interfaces.telegram.formatted import FIRST_OF_TWO_UNITS, Formatted, Span

MOST_ENTITIES = 100
"""Of more entities in one message Telegram ignores the rest (https://limits.tginfo.me/en)."""
_SEPARATORS = ("\n\n", "\n", ". ", " ")
_LOOK_BACK = 2
"""A cut at a separator leaves at least one part in so many of the longest length."""


def split(whole: Formatted, longest: int) -> list[Formatted]:
    """Return the parts, none over `longest` (at least 2) UTF-16 units; their texts together are the whole's text."""
    text, parts, start = whole.text, list[Formatted](), 0
    spans = sorted(whole.spans, key=lambda span: (span.start, -span.end))
    carried: list[Span] = []
    position = 0
    while start < len(text):
        end = _cut(text, start, _reach(text, start, longest))
        reaching = carried
        while position < len(spans) and spans[position].start < end:
            reaching.append(spans[position])
            position += 1
        if len(reaching) > MOST_ENTITIES and start < reaching[MOST_ENTITIES].start < end:
            end = reaching[MOST_ENTITIES].start
            late = [span for span in reaching if span.start >= end]
            position -= len(late)
            reaching = reaching[: len(reaching) - len(late)]
        inside = tuple(_moved(span, start, end) for span in reaching[:MOST_ENTITIES])
        parts.append(Formatted(text=text[start:end], spans=inside))
        carried = [span for span in reaching if span.end > end]
        start = end
    return parts


def _reach(text: str, start: int, longest: int) -> int:
    """Return the furthest end of a part that begins at `start`."""
    end = min(start + longest, len(text))
    units = end - start + sum(1 for mark in text[start:end] if ord(mark) >= FIRST_OF_TWO_UNITS)
    while units > longest:
        end -= 1
        units -= 2 if ord(text[end]) >= FIRST_OF_TWO_UNITS else 1
    return end


def _cut(text: str, start: int, furthest: int) -> int:
    """Return where to cut: behind a separator in the part's second half, else as late as can be."""
    if furthest == len(text):
        return furthest
    earliest = start + (furthest - start) // _LOOK_BACK
    for separator in _SEPARATORS:
        at = text.rfind(separator, earliest, furthest)
        if at >= 0:
            return at + len(separator)
    return furthest


def _moved(span: Span, start: int, end: int) -> Span:
    return Span(
        kind=span.kind,
        start=max(span.start, start) - start,
        end=min(span.end, end) - start,
        url=span.url,
        language=span.language,
    )
