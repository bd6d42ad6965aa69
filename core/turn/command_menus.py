"""The commands that an interface may show in a menu, by who is looking: from the catalogue, as the gate has it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from core.contracts.inputs import Address, Principal, Role
from core.contracts.policy import Question
from core.interface_base import InterfaceBase
from core.turn.environment import TurnEnvironment
from core.turn.resolve_mentions import mentions_of
from core.turn.stages.authorize import visible


def tell_commands(interface: InterfaceBase, env: TurnEnvironment) -> None:
    """Set those of the attributes `commands`, `trainer_commands`, `trainers` and `mentions` that an interface has.

    commands, trainer_commands: return name to description, of what a user and what a trainer may type there now;
    who sits at an attended one is a trainer. trainers: returns the user ids of the interface's trainers.
    mentions: returns name to description, of what may be written behind an @ there.
    """
    name = interface.name
    anybody = Role.TRAINER if interface.attended else Role.USER

    def trainers() -> Collection[str]:
        return [a.chat_id for a in env.people.trainer_addresses() if a.interface == name]

    given: Mapping[str, Callable[[], Any]] = {
        "commands": lambda: commands_of(env, name, anybody),
        "trainer_commands": lambda: commands_of(env, name, Role.TRAINER),
        "trainers": trainers,
        "mentions": lambda: mentions_of(env, anybody),
    }
    for attribute, value in given.items():
        if hasattr(interface, attribute):
            setattr(interface, attribute, value)


def commands_of(env: TurnEnvironment, interface: str, role: Role) -> dict[str, str]:
    """Return the commands that somebody of a role may type, whoever it is and wherever, name to description."""
    somebody = "*"  # a rule about one person or one chat says nothing about a menu for all

    def may(spec: Any) -> bool:
        question = Question(
            spec=spec,
            payload=None,
            principal=Principal(interface, somebody),
            role=role,
            address=Address(interface, somebody),
        )
        return visible(question, env.rules)

    found = env.generation().commands
    return {command: entry.spec.description for command, entry in sorted(found.items()) if may(entry.spec)}
