"""The project's text holds nothing of one machine, says what each folder is for, and keeps files readable."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, project_files

MOST_LINES = 400

_HOME = re.compile(r"(?<![\w.~])/(?:root|(?:home|Users)/(?!you/|me/|alice/)[\w.-]+)/")
_REGISTRY = re.compile(r"\b(?:py[p]i\.org|python[h]osted\.org|registry\.[n]pmjs\.org|--(?:extra-)?[i]ndex-url)\b")


def _matches(pattern: re.Pattern[str], files: list[Path]) -> Iterator[str]:
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not text
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"


def test_no_path_of_one_machine() -> None:
    assert list(_matches(_HOME, project_files())) == []


def test_no_registry_is_named_outside_the_lock_file() -> None:
    files = [path for path in project_files() if path.name != "uv.lock"]
    assert list(_matches(_REGISTRY, files)) == []


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (_HOME, "see {}root{}.cache", True),
        (_HOME, "{}home{}sam{}rekku", True),
        (_HOME, "{}home{}you{}rekku", False),
        (_HOME, "https:{}{}example.org{}home{}page{}", False),
        (_HOME, "tree{}root{}branch", False),
        (_REGISTRY, "https:{}{}py" + "pi.org{}simple", True),
        (_REGISTRY, "a package index", False),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], text: str, expected: bool) -> None:
    assert bool(pattern.search(text.replace("{}", "/"))) is expected


def _in(*folders: str) -> Callable[[Path], bool]:
    return lambda path: path.relative_to(ROOT).parts[0] in folders


def test_every_folder_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in project_files()
        if path.name == "__init__.py"
        and not _in("tests")(path)
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_every_folder_of_modules_is_a_package() -> None:
    ours = _in("core", "plugins", "interfaces", "engines")
    folders = {path.parent for path in project_files() if path.suffix == ".py" and ours(path)}
    loose = [str(f.relative_to(ROOT)) for f in sorted(folders) if not (f / "__init__.py").exists()]
    assert [folder for folder in loose if "migrations" not in folder] == []


def test_core_files_can_be_read_in_one_go() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines, {MOST_LINES} at most"
        for path in project_files()
        if path.suffix == ".py" and _in("core")(path)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    ]
    assert long == []
