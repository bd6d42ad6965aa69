"""The commands of its own that a plugin declares for the command line, checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from core.contracts.errors import DeclarationError
from core.contracts.slots import CommandGroup

CORE_COMMANDS = frozenset(
    (
        *("chat", "run", "replay", "doctor", "health", "mcp", "plugins", "policy", "ledger", "outbox", "events"),
        *("reminders", "sessions", "approvals", "pairing", "people", "db"),
    )
)
"""What is a command of Rekku itself, and can be none of a plugin's."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


def declared_groups(name: str, plugin: object, *, isolated: bool) -> tuple[CommandGroup, ...]:
    """Return the commands that a plugin declares; raises DeclarationError with the cure.

    isolated: it runs in a process of its own, where nobody could call them.
    """
    ask = getattr(plugin, "command_groups", None)
    if ask is None:
        return ()
    told: object = ask()
    if not isinstance(told, Iterable) or isinstance(told, str | Mapping):
        raise DeclarationError(
            f"{name}.command_groups returned a {type(told).__name__}.", cure="Return a list of CommandGroup."
        )
    groups: list[CommandGroup] = []
    for group in told:
        _check(name, group)
        if any(group.name == other.name for other in groups):
            raise DeclarationError(f"{name}.command_groups: {group.name} is there twice.", cure="Rename one.")
        groups.append(group)
    if groups and isolated:
        raise DeclarationError(
            f"{name} declares commands for the command line, which works in Rekku's process alone.",
            cure='Leave isolation = "process" away, or leave them away.',
        )
    return tuple(groups)


def _check(plugin: str, group: object) -> None:
    where = f"{plugin}.command_groups"
    if not isinstance(group, CommandGroup):
        raise DeclarationError(
            f"{where}: a {type(group).__name__} is no CommandGroup.",
            cure="from core.contracts.slots import CommandGroup",
        )
    if not isinstance(group.name, str) or not _NAME.fullmatch(group.name):
        raise DeclarationError(f"{where}: {group.name!r} cannot be a name.", cure="Use a-z, 0-9 and -.")
    if group.name in CORE_COMMANDS:
        raise DeclarationError(f"{where}: `rekku {group.name}` is a command of Rekku's own.", cure="Rename it.")
    functions = group.run.items() if isinstance(group.run, Mapping) else [("", group.run)]
    for word, function in functions:
        if not callable(function) or (word and not _NAME.fullmatch(str(word))):
            raise DeclarationError(
                f"{where}: {group.name} {word}".rstrip() + " cannot be called.",
                cure="run is a function, a dictionary of word to function, or a typer.Typer.",
            )
    if not functions:
        raise DeclarationError(f"{where}: {group.name} has no command.", cure="Give `run` a function.")
