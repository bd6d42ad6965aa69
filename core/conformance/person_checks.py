"""Checks that what a plugin keeps of people can be taken out and deleted."""

from __future__ import annotations

from functools import partial

from sqlalchemy import inspect

from core.ai_plugin_base import AIPluginBase
from core.conformance.findings import Findings
from core.conformance.hook_checks import PRINCIPAL
from core.contracts.json import compact
from core.contracts.services import Database
from core.interface_base import InterfaceBase
from core.services.foreign import ForeignCalls, Raised
from core.services.sync_or_async import invoke

ASKED_S = 10.0
METHODS = ("export_person", "erase_person")


async def tables(database: Database) -> frozenset[str]:
    """Return the names of all tables."""
    return frozenset(await database.read(lambda conn: inspect(conn).get_table_names()))


async def check_people(instance: object, created: frozenset[str], foreign: ForeignCalls, found: Findings) -> None:
    """Whoever keeps tables has export_person and erase_person, and they work for somebody unknown."""
    own = [name for name in METHODS if _is_own(instance, name)]
    if created and len(own) < len(METHODS):
        missing = " and ".join(name for name in METHODS if name not in own)
        found.warn(
            "people",
            f"It keeps the table {', '.join(sorted(created))} and has no {missing}: what is stored of somebody could "
            "not be taken out or deleted.",
            "Define them; where nothing is kept by person, return None and 0.",
        )
    for name in own:
        answer = await foreign.call(name, partial(invoke, getattr(instance, name), PRINCIPAL), ASKED_S)
        if isinstance(answer, Raised):
            cure = "It is called without a start, for anybody: look first whether the table is there."
            found.fail("people", f"{name} raised {answer.sentence} for somebody unknown.", cure)
        elif name == "erase_person" and (not isinstance(answer.value, int) or isinstance(answer.value, bool)):
            found.fail("people", f"{name} returned {answer.value!r}.", "Return how many rows were deleted.")
        elif name == "export_person":
            try:
                compact(answer.value)
            except (TypeError, ValueError):
                said = type(answer.value).__name__
                found.fail("people", f"{name} returned a {said}, which is no JSON.", "Return lists, dicts and texts.")
    found.ok("people", "What it keeps of people can be exported and erased." if own else "It keeps no tables.")


def _is_own(instance: object, name: str) -> bool:
    function = getattr(type(instance), name, None)
    return function is not None and function not in (getattr(AIPluginBase, name), getattr(InterfaceBase, name))
