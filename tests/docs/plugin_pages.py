"""The pages of docs/plugins/ as the tests read them: their blocks of code, and signatures as they write them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "plugins"


def page(name: str) -> str:
    """Return the text of one page."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def plugins_of(name: str) -> dict[str, str]:
    """Return the ```python blocks of a page by the class that each exports; raises where one exports none."""
    blocks = re.findall(r"```python\n(.*?)```", page(name), re.DOTALL)
    exported: dict[str, str] = {}
    for block in blocks:
        (cls,) = re.findall(r"^PLUGIN_CLASS = (\w+)$", block, re.MULTILINE)
        exported[cls] = block
    assert len(exported) == len(blocks)
    return exported


def place(home: Path, page_name: str, *classes: str, kind: str = "plugins") -> None:
    """Do what the pages say: put the files of these plugins into the home; of all of the page if none is named."""
    folder = home / kind
    folder.mkdir(parents=True, exist_ok=True)
    blocks = plugins_of(page_name)
    for cls in classes or blocks:
        (folder / f"{cls.lower()}.py").write_text(blocks[cls], encoding="utf-8")


def signature_text(name: str, function: Callable[..., Any], *, method: bool = False) -> str:
    """Return a signature as the pages write it in ```text blocks: without annotations of return and `self`."""
    parameters = list(inspect.signature(function).parameters.values())[1 if method else 0 :]
    texts: list[str] = []
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and "*" not in texts:
            texts.append("*")
        texts.append(_parameter(one))
    return f"{name}({', '.join(texts)})"


def _parameter(parameter: inspect.Parameter) -> str:
    bare = parameter.replace(annotation=inspect.Parameter.empty)
    if bare.kind is bare.VAR_KEYWORD:
        return f"**{bare.name}"
    if bare.default is inspect.Parameter.empty:
        return bare.name
    return f"{bare.name}={bare.default!r}"
