"""The data of events, inside bounds and without secrets."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts.json import Json, JsonObject, storable
from core.services.mask import Masker

LONGEST_TEXT = 4096
"""Bytes of one text; the rest of a longer one is cut off."""

LONGEST_REASON = 2000
"""Characters of a sentence that says why."""

MOST_BYTES = 16 * 1024
MOST_VALUES = 1000
MOST_DEPTH = 16

CUT = "… (cut: {count} characters in all)"
LEFT_OUT = "… (left out)"

_MASKED_AT_ONCE = 64 * 1024
"""Characters: a secret is masked whole before the cut, and what is cut off anyway is not searched."""


@dataclass(slots=True, kw_only=True)
class _Bounded:
    """Copies JSON as far as there is room; walks no further than that, however large the value is."""

    masker: Masker
    bytes_left: int
    values_left: int = MOST_VALUES

    def of(self, value: Json, depth: int) -> Json:
        self.values_left -= 1
        self.bytes_left -= 8
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth == 0 or not self.room:
            return LEFT_OUT
        if isinstance(value, dict):
            kept: JsonObject = {}
            for key, item in value.items():
                if not self.room:
                    kept["…"] = LEFT_OUT
                    break
                kept[self.text(str(key))] = self.of(item, depth - 1)
            return kept
        if isinstance(value, list | tuple):
            items: list[Json] = []
            for item in value:
                if not self.room:
                    items.append(LEFT_OUT)
                    break
                items.append(self.of(item, depth - 1))
            return items
        return self.text(str(value))

    @property
    def room(self) -> bool:
        return self.bytes_left > 0 and self.values_left > 0

    def text(self, text: str) -> str:
        """Return a text masked and then cut, so that no half of a secret is left."""
        if len(text) < 200 and text.isascii():
            told = self.masker.text(text)
        else:
            told = storable(self.masker.text(text[:_MASKED_AT_ONCE]))
            most = max(min(LONGEST_TEXT, self.bytes_left), 0)
            encoded = told.encode()
            if len(encoded) > most or len(text) > _MASKED_AT_ONCE:
                told = encoded[:most].decode(errors="ignore") + CUT.format(count=len(text))
        if "\0" in told:
            told = storable(told)
        self.bytes_left -= len(told)
        return told


def bounded(data: JsonObject, masker: Masker, most_bytes: int = MOST_BYTES) -> JsonObject:
    """Return a copy of an event's data: secrets masked, texts of over 4 KiB cut, about `most_bytes` in all."""
    return _Bounded(masker=masker, bytes_left=most_bytes).of(data, MOST_DEPTH)  # type: ignore[no-any-return]


def short(text: str) -> str:
    """Return a reason that is fit to be kept: cut between words where it is too long, so that no secret is halved."""
    if len(text) <= LONGEST_REASON + 100:  # one that was cut already is left as it is
        return text
    head = text[:LONGEST_REASON]
    return (head.rpartition(" ")[0] or head) + CUT.format(count=len(text))


def copied(value: Json) -> Json:
    """Return a copy of JSON, so that what a handler does to its data changes nobody else's."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value
