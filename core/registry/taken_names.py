"""Names that only one component can have: its own, its actions', commands' and turn strategies'."""

from __future__ import annotations

from collections.abc import Iterable

from core.registry.catalogue import CatalogueEntry
from core.registry.component import Component
from core.services.strategies import StrategyBinding


def taken_by(
    component: Component,
    entries: Iterable[CatalogueEntry],
    strategies: Iterable[StrategyBinding],
    others: Iterable[Component],
) -> str:
    """Return why a component with these actions and turn strategies cannot stand beside the others, or ""."""
    specs = [entry.spec for entry in entries]
    names = {strategy.name for strategy in strategies}
    for other in others:
        if other.name.casefold() == component.name.casefold():  # their directories may be one, too
            return f"There is a {component.kind} {other.name} already ({other.source}). Rename or disable one."
        for theirs in (entry.spec for entry in other.entries):
            for spec in specs:
                if spec.type == theirs.type:
                    return f"{component.name}.{spec.type}: the plugin {other.name} has an action of that name."
                if spec.command and spec.command == theirs.command:
                    return f"{component.name}.{spec.type}: /{spec.command} is a command of the plugin {other.name}."
        for strategy in other.strategies:
            if strategy.name in names:
                return f"{component.name}: the plugin {other.name} has a turn strategy {strategy.name}."
        for group in (group.name for group in other.groups):
            if any(group == own.name for own in component.groups):
                return f"{component.name}: `rekku {group}` is a command of the plugin {other.name}."
    commands = [spec.command for spec in specs if spec.command]
    twice = next((command for command in commands if commands.count(command) > 1), "")
    return f"{component.name}: two of its actions have the command /{twice}." if twice else ""
