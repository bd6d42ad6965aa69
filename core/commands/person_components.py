"""What components keep of a person: each is asked for itself, isolated, with a deadline, without being started."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from core.ai_plugin_base import AIPluginBase
from core.app import App
from core.commands.startup import log_kept, mask_of
from core.commands.stored import stored
from core.contracts.inputs import Address, Principal
from core.contracts.json import Json
from core.interface_base import InterfaceBase
from core.registry.component import Component
from core.services import personal_data
from core.services.foreign import Raised
from core.services.sync_or_async import invoke
from core.settings import Settings

PERSON_S = 30.0
_NOTHING = (
    AIPluginBase.export_person,
    AIPluginBase.erase_person,
    InterfaceBase.export_person,
    InterfaceBase.erase_person,
)


@dataclass(slots=True, kw_only=True)
class Answers:
    """What components have said, and why others could not, by "kind.name"."""

    values: dict[str, Json] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def loaded_on_database(settings: Settings, *, write: bool) -> AsyncIterator[App]:
    """Load every component on the real database, beside whatever process uses it; none of them is started."""
    masker = mask_of(settings)
    with log_kept(settings, masker, quiet="ERROR"):
        async with stored(settings, write=write) as database:
            app = App(settings, masker=masker, database=database)
            with contextlib.redirect_stdout(sys.stderr):  # what plugins print when they are imported is no answer
                await app.load()
            yield app


def private_chat(app: App, principal: Principal) -> Address | None:
    """Return the chat with one principal alone: where their interface says, else one that is named as they are."""
    component = app.registry.get("interface", principal.interface)
    interface = None if component is None else component.instance
    if isinstance(interface, InterfaceBase):
        return interface.private_address(principal.user_id)
    return Address(principal.interface, principal.user_id)


async def exported(app: App, principal: Principal) -> Answers:
    """Ask every component what it keeps of a person."""
    answers = Answers()
    for component in app.registry.components():
        name = f"{component.kind}.{component.name}"
        value = await _asked(app, component, "export_person", principal, answers)
        if value is None:
            continue
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            answers.failures[name] = f"what it returned is no JSON: {error}"
        else:
            answers.values[name] = app.masker.value(value)
    return answers


async def erased(app: App, principal: Principal) -> Answers:
    """Have every component delete what it keeps of a person; the values are how many things that were."""
    answers = Answers()
    for component in app.registry.components():
        count = await _asked(app, component, "erase_person", principal, answers)
        if isinstance(count, int) and not isinstance(count, bool):
            if count:
                answers.values[f"{component.kind}.{component.name}"] = count
        elif count is not None:
            answers.failures[f"{component.kind}.{component.name}"] = "it did not say how much it deleted"
    for owner in await app.database.read(lambda conn: personal_data.still_naming(conn, principal)):
        answers.failures.setdefault(owner, "a value in its store still names them")
    return answers


async def _asked(app: App, component: Component, method: str, principal: Principal, answers: Answers) -> Any:
    """Return what a component answers; None where it keeps nothing, or cannot say, which is noted."""
    name = f"{component.kind}.{component.name}"
    ask = getattr(component.instance, method, None)
    if component.instance is None:
        if component.state == "failed":
            answers.failures[name] = f"it cannot be loaded: {app.masker.text(component.reason)}"
        return None
    if ask is None or getattr(ask, "__func__", None) in _NOTHING:
        return None
    if not app.registry.prepare(component):
        answers.failures[name] = app.masker.text(component.reason)
        return None
    answer = await app.foreign.call(f"{name}.{method}", partial(invoke, ask, principal), PERSON_S)
    await component.instance.context.release()
    if isinstance(answer, Raised):
        answers.failures[name] = app.masker.text(answer.sentence)
        return None
    return answer.value
