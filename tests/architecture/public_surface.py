"""The public surface as text: every public name of core's public modules with its signature, read from the source.

python -m tests.architecture.public_surface            print it
python -m tests.architecture.public_surface --write    make it the one that the tests compare with
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source_tree import ROOT, module_name

SNAPSHOT = Path(__file__).with_name("public_surface.txt")
PUBLIC_MODULES = ("ai_plugin_base", "interface_base", "engine_base", "core_initializer")
PUBLIC_PACKAGES = ("contracts", "testing")


def public_surface() -> str:
    """Return one block a public module, in the order of their names."""
    files = [ROOT / "core" / f"{name}.py" for name in PUBLIC_MODULES]
    for package in PUBLIC_PACKAGES:
        found = (ROOT / "core" / package).rglob("*.py")
        files += [path for path in found if not path.stem.startswith("_") or path.stem == "__init__"]
    blocks = {module_name(path): describe_module(path.read_text(encoding="utf-8")) for path in files}
    return "\n".join("\n".join([name, *lines]) + "\n" for name, lines in sorted(blocks.items()) if lines)


def describe_module(source: str) -> list[str]:
    """Return the lines that describe a module: its own public names, then those it passes on by `__all__`."""
    tree = ast.parse(source)
    exported = _exported(tree)
    lines: list[str] = []
    defined: set[str] = set()
    for node in tree.body:
        names = _names(node)
        defined |= names
        if any(_is_public(name) and (exported is None or name in exported) for name in names):
            lines += [f"    {line}" for line in _describe(node)]
    passed_on = sorted((exported or set()) - defined)
    return lines + [f"    {name} (from elsewhere)" for name in passed_on]


def _exported(tree: ast.Module) -> set[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and _names(node) == {"__all__"}:
            return set(ast.literal_eval(node.value))
    return None


def _names(node: ast.stmt) -> set[str]:
    """Return the names that a statement defines; imports define none."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Assign():
            return {target.id for target in node.targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name in {"__init__", "__aenter__", "__aexit__"}


def _describe(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.ClassDef():
            yield from (f"@{ast.unparse(decorator)}" for decorator in node.decorator_list)
            bases = ", ".join(ast.unparse(base) for base in (*node.bases, *node.keywords))
            yield f"class {node.name}({bases})" if bases else f"class {node.name}"
            for part in node.body:
                if any(_is_public(name) for name in _names(part)):
                    yield from (f"    {line}" for line in _describe(part))
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from (f"@{ast.unparse(decorator)}" for decorator in node.decorator_list)
            kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
            result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            yield f"{kind} {node.name}({ast.unparse(node.args)}){result}"
        case _:
            yield from ast.unparse(node).splitlines()


def main() -> None:
    """Print the surface, or write it down."""
    if sys.argv[1:] == ["--write"]:
        SNAPSHOT.write_text(public_surface(), encoding="utf-8")
    else:
        print(public_surface(), end="")


if __name__ == "__main__":
    main()
