"""Which plugin a file of code belongs to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from core.registry.component import Component


def code_owner(file: str, components: Iterable[Component], is_own: Callable[[Component], bool]) -> str:
    """Return the name of the plugin, or ""; `is_own` tells which belong to the core and own nothing."""
    path = Path(file)
    for component in components:
        if is_own(component) or component.instance is None:
            continue
        if component.folder is not None:
            source = Path(component.source)
            if path == source or (component.folder == source and path.is_relative_to(source)):
                return component.name
            continue
        module = sys.modules.get(type(component.instance).__module__)
        if getattr(module, "__file__", None) == file:
            return component.name
    return ""
