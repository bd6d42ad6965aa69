"""What a hook is called with, and whether a method that is declared as one takes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from core.contracts.errors import DeclarationError
from core.declarations import named

_PARAMETERS = {"gather_context": ("turn",), "after_action": ("turn", "action", "outcome")}


def hook_parameters(hook: str) -> tuple[str, ...]:
    """Return the names of what a hook is called with, in their order."""
    return _PARAMETERS.get(hook, ("turn", "value"))


def check_hook(plugin: str, method: str, hook: str, call: Callable[..., Any]) -> None:
    """Raise DeclarationError with the wanted signature when a hook cannot be called with what it is called with."""
    wanted = hook_parameters(hook)
    try:
        signature = inspect.signature(call)
    except ValueError:
        return  # written in C: it has no signature
    try:
        signature.bind(*wanted)
    except TypeError:
        count = f"{len(wanted)} arguments" if len(wanted) > 1 else "one argument"
        raise DeclarationError(
            f"{named(f'{plugin}.{method}', call)}: {method}{signature} does not fit the hook {hook}, which is called "
            f"with {count}.",
            cure=f"Write async def {method}(self, {', '.join(wanted)}).",
        ) from None
