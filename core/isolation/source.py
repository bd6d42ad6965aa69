"""What a plugin's source says of its isolation, read without running any of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ATTRIBUTE = "isolation"
MOST_FILES = 200
LARGEST_FILE = 1024 * 1024


def isolation_in(path: Path) -> str:
    """Return the text that a class of a file or folder gives its attribute `isolation`; "" where none does.

    What is not written there as a text, or inherited from elsewhere, cannot be read so.
    """
    files = sorted(path.rglob("*.py"))[:MOST_FILES] if path.is_dir() else [path]
    return next((said for file in files for said in _said(file)), "")


def _said(file: Path) -> Iterator[str]:
    try:
        if file.stat().st_size > LARGEST_FILE:
            return
        text = file.read_text(encoding="utf-8", errors="replace")
        tree = ast.parse(text) if ATTRIBUTE in text else ast.Module(body=[], type_ignores=[])
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # loading it will say what is wrong
    for node in tree.body:
        for statement in node.body if isinstance(node, ast.ClassDef) else ():
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str() as said))
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str() as said))
                ) if name == ATTRIBUTE:
                    yield said
