"""docs/commands.md describes every command there is, with all its options, and no other."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from core.commands.tree import command_line
from core.contracts.version import VERSION

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `(rekku [^`]+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every command below, but not the groups themselves."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for each, below in inner.items():
        yield from _commands(below, f"{name} {each}")


COMMANDS = dict(_commands(get_command(command_line), "rekku"))


def _options(command: Any) -> dict[str, Any]:
    return {parameter.opts[0]: parameter for parameter in command.params if parameter.param_type_name == "option"}


def test_the_page_and_the_tree_name_the_same_commands() -> None:
    assert SECTIONS.keys() == COMMANDS.keys()
    assert len(COMMANDS) >= 13


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_are_those_of_the_command(name: str) -> None:
    rows = dict(re.findall(r"^\| `(--[a-z-]+)([^`]*)` \|", SECTIONS[name], re.MULTILINE))
    options = _options(COMMANDS[name])
    assert rows.keys() == options.keys()
    for option, value in rows.items():
        takes_value = not getattr(options[option], "is_flag", False)
        assert (value.strip() == (options[option].metavar or "")) if takes_value else value == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_and_defaults_are_told(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            word = parameter.metavar.strip("[].")
            assert re.search(rf"`{name} [^`]*\b{word}\b", SECTIONS[name])
        elif parameter.default not in (None, False):
            row = next(line for line in SECTIONS[name].splitlines() if line.startswith(f"| `{parameter.opts[0]}"))
            assert str(parameter.default) in row


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_is_for(name: str) -> None:
    summary = COMMANDS[name].get_short_help_str(limit=66)
    assert summary
    assert not summary.endswith("...")


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
