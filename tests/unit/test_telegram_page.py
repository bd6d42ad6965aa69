"""docs/telegram.md names every key of the interface, with its default."""

from __future__ import annotations

import re
from pathlib import Path

from interfaces.telegram.config import TelegramConfig

PAGE = (Path(__file__).parents[2] / "docs" / "telegram.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE))


def _written(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"{value:g}" if isinstance(value, int | float) else f"`{value}`"


def test_the_page_and_the_keys_are_the_same() -> None:
    assert {name: _written(field.default) for name, field in TelegramConfig.model_fields.items()} == ROWS
