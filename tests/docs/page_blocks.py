"""What the tests of the pages under docs/plugins/ share: the blocks of a page, and its tables."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs" / "plugins"


def text_of(page: str) -> str:
    """Return a page."""
    return (PAGES / page).read_text(encoding="utf-8")


def plugins_of(page: str) -> dict[str, str]:
    """Return the plugin files of a page by their class; every block of Python is one."""
    blocks = re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL)
    found = {name: block for block in blocks for name in re.findall(r"^PLUGIN_CLASS = (\w+)$", block, re.MULTILINE)}
    assert len(found) == len(blocks)
    return found


def place(home: Path, page: str, *names: str) -> None:
    """Put plugins of a page into a home."""
    folder = home / "plugins"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name.lower()}.py").write_text(plugins_of(page)[name], encoding="utf-8")


def first_cells(page: str, heading: str) -> set[str]:
    """Return the words in backticks in the first column of the table under a header cell."""
    table = text_of(page).split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    rows = re.findall(r"^\| ([^|]*) \|", table.split("\n", 2)[2], re.MULTILINE)
    return set(re.findall(r"`(\w+)`", " ".join(rows)))


def signatures(page: str) -> list[str]:
    """Return the lines of the blocks that show signatures."""
    return [
        line for block in re.findall(r"```text\n(.*?)```", text_of(page), re.DOTALL) for line in block.splitlines()
    ]
