"""Checks of a plugin that wants a process of its own: whether it uses what is not there."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.conformance.findings import Findings
from core.contracts.schedule import Schedule
from core.isolation.child_storage import ChildSchedule
from core.isolation.source import isolation_in

INSTEAD = "Keep it with self.context.kv or in files, or leave isolation away."
_SERVICES = "Have the other plugin declare an action, and call it with self.context.services.call_plugin."
_SCHEDULE = frozenset(name for name in vars(Schedule) if not name.startswith("_")) - frozenset(vars(ChildSchedule))


def check_crossing(path: Path, trees: Mapping[str, ast.Module], found: Findings) -> None:
    """A plugin that says `isolation = "process"` reaches for nothing that stays inside Rekku."""
    if isolation_in(path) != "process":
        return
    for name, tree in trees.items():
        for line, what, cure in _inside(tree):
            found.fail(
                "isolation", f"It uses {what}, which is not there in a process of its own.", cure, f"{name}:{line}"
            )
    found.ok("isolation", "It uses nothing that is not there in a process of its own.")


def _inside(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name="command_groups"):
                yield node.lineno, "command_groups", "Leave isolation away, or the commands for the command line."
            case ast.Attribute(value=ast.Attribute(attr="context"), attr="database"):
                yield node.lineno, "self.context.database", INSTEAD
            case ast.Attribute(value=ast.Attribute(attr="services"), attr=("require" | "provide") as part):
                yield node.lineno, f"self.context.services.{part}", _SERVICES
            case ast.Attribute(value=ast.Attribute(attr="schedule"), attr=part) if part in _SCHEDULE:
                yield node.lineno, f"self.context.schedule.{part}", "Plugins that write reminders run inside Rekku."
            case ast.Attribute(value=ast.Name(id="ctx"), attr="write"):
                yield node.lineno, "ctx.write", INSTEAD
