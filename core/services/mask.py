"""Known secret values, masked wherever text leaves the process or is written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from core.contracts.json import Json

SHORTEST = 6
"""Shorter secrets are not masked: they would tear words apart. The settings refuse them."""


class Masker:
    """Replaces known secret values in texts and JSON values by their names."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, name: str, value: str) -> None:
        """Mask `value` as `[NAME]` from now on, also as it stands in JSON and in URLs; its first name counts."""
        if len(value) >= SHORTEST:
            known = {**dict.fromkeys((value, *_spellings(value)), f"[{name}]"), **self._names}
            # The longest first: a secret may stand inside another one.
            self._names = dict(sorted(known.items(), key=lambda item: -len(item[0])))

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        for value, name in self._names.items():
            if value in text:
                text = text.replace(value, name)
        return text

    def value(self, value: Json) -> Json:
        """Return a JSON value without secrets, keys included."""
        if not self._names:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        return value

    def processor(self, logger: Any, method: str, event: Any) -> Any:
        """Mask a structlog event; a processor."""
        if not self._names:
            return event
        return {
            key: self.text(str(item)) if not isinstance(item, int | float) else item for key, item in event.items()
        }


def _spellings(value: str) -> Iterator[str]:
    """Yield how a text is written where it is quoted or escaped."""
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    for safe in ("", "/", "/:", ":"):
        yield quote(value, safe=safe)
    yield quote_plus(value)
