"""Reading the actions of a plugin again, which has learned of others while it runs."""

from __future__ import annotations

from functools import partial

from core.contracts.errors import DeclarationError
from core.own_thread import in_own_thread
from core.registry.catalogue import CatalogueEntry, build_entries
from core.registry.component import Component
from core.registry.reasons import reason_of
from core.services.foreign import ForeignCalls, Raised


async def declared_again(foreign: ForeignCalls, component: Component, timeout_s: float) -> list[CatalogueEntry]:
    """Return the entries of what a plugin declares now; raises DeclarationError."""
    name, label = component.name, f"declarations of {component.name}"
    answer = await foreign.call(
        label, lambda: in_own_thread(partial(build_entries, name, component.instance), label), timeout_s
    )
    if not isinstance(answer, Raised):
        return answer.value
    if isinstance(answer.error, DeclarationError):
        raise answer.error
    raise DeclarationError(f"{name}: {reason_of(answer.error, component.folder)}") from answer.error
