"""Checks of a component's source text: what its actions do with their effect, and with being cancelled."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.conformance.findings import Findings
from core.contracts.actions import Effect

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


def trees_of(path: Path) -> dict[str, ast.Module]:
    """Return the syntax trees of a component's files by their name below it; what does not parse is left out."""
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    root = path if path.is_dir() else path.parent
    trees: dict[str, ast.Module] = {}
    for file in files:
        name = str(file.relative_to(root))
        if Path(name).name.startswith(("_test", "test_")) or "tests" in Path(name).parts:
            continue
        try:
            trees[name] = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError, OSError):
            continue
    return trees


def check_effects_in_source(trees: Mapping[str, ast.Module], methods: Mapping[str, Effect], found: Findings) -> None:
    """What is local hands over its writes, and what reads does not write. methods: decorated ones, by name."""
    for name, function in _functions(trees):
        effect = methods.get(function.name)
        if effect is None or not function.decorator_list:
            continue
        where = f"{name}:{function.lineno}"
        if effect is Effect.LOCAL and not _uses_context(function):
            found.warn(
                "writes",
                f'{function.name} says effect="local" and never calls ctx.write: what it does is not exactly once.',
                "Take ctx: ActionContext and hand over ctx.write(fn), or say what it touches.",
                where,
            )
        if effect is not Effect.EXTERNAL and (line := _writes_itself(function)):
            found.warn(
                "writes",
                f"{function.name} says effect={effect.value!r} and writes by itself.",
                'Hand the write over with ctx.write(fn) and effect="local".',
                f"{name}:{line}",
            )
    found.ok("writes", "What the actions write fits their effect.")


def check_swallowing(trees: Mapping[str, ast.Module], found: Findings) -> None:
    """No coroutine catches its own cancellation and goes on."""
    for name, function in _functions(trees):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.ExceptHandler) and _catches_cancellation(node) and not _leaves(node):
                found.warn(
                    "cancellation",
                    f"{function.name} catches its cancellation and goes on.",
                    "Catch Exception instead, or raise it again at the end of the handler.",
                    f"{name}:{node.lineno}",
                )


def line_of(trees: Mapping[str, ast.Module], method: str) -> str:
    """Return where a method is defined, as "coin.py:12", or ""."""
    return next((f"{name}:{function.lineno}" for name, function in _functions(trees) if function.name == method), "")


def _functions(trees: Mapping[str, ast.Module]) -> Iterator[tuple[str, AnyFunction]]:
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, AnyFunction):
                yield name, node


def _uses_context(function: AnyFunction) -> bool:
    """Tell whether a handler calls a method of ctx that is kept with the action, or hands ctx on."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "ctx" and node.attr in ("write", "send", "deliver"):
                return True
            if node.value.id == "current_action":
                return True
        if isinstance(node, ast.Call):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if any(isinstance(one, ast.Name) and one.id == "ctx" for one in given):
                return True
    return False


def _writes_itself(function: AnyFunction) -> int:
    """Return the line on which a handler writes around its action, or 0."""
    for node in ast.walk(function):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        called, of = node.func.attr, node.func.value
        if not isinstance(of, ast.Attribute):
            continue
        if (of.attr, called) in {("database", "transact"), ("kv", "set"), ("kv", "delete")}:
            return node.lineno
    return 0


def _catches_cancellation(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {one.id if isinstance(one, ast.Name) else getattr(one, "attr", "") for one in types}
    return bool(names & {"BaseException", "CancelledError"})


def _leaves(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler ends its function: whoever awaits a cancelled task of its own may do that."""
    return any(isinstance(node, ast.Raise | ast.Return | ast.Break) for node in ast.walk(handler))
