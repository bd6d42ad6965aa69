"""How components stand once they are loaded and not started."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from core.app import App
from core.commands.last_states import LastState
from core.commands.startup import log_kept, mask_of
from core.commands.stored import stored_wishes
from core.contracts.json import JsonObject
from core.registry.components import Component, ComponentState
from core.registry.discovery import Found
from core.registry.start_order import start_order
from core.settings import Settings

NOT_STARTED = "loads; was not started here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """state: "ok" (loads cleanly), "off" (not configured), "disabled", "quarantined" or "failed".

    stage: where it failed, or "". reason: why, or what is known of one that loads. well: False where it loads and did
    not work when it last ran.
    """

    kind: str
    name: str
    state: str
    stage: str
    reason: str
    source: str
    well: bool = True

    def as_json(self) -> JsonObject:
        """Return it for programs."""
        names = ("kind", "name", "state", "stage", "reason", "source")
        return {name: getattr(self, name) for name in names}


def loaded_app(
    settings: Settings, *, with_wishes: bool = True, only: Callable[[Found], bool] = lambda found: True
) -> App:
    """Return an app whose components are loaded, none of them started. Works beside a running process.

    with_wishes: leave out what was disabled by command or quarantined. only: which components are wanted at all.
    """
    masker = mask_of(settings)
    with log_kept(settings, masker, quiet="ERROR"):
        app = App(settings, masker=masker)
        if with_wishes:
            app.plugins.control.wishes = stored_wishes(settings)
        with contextlib.redirect_stdout(sys.stderr):  # what plugins print when they are imported is no answer
            asyncio.run(app.load(only))
    return app


def standings(app: App, last: Mapping[tuple[str, str], LastState] = MappingProxyType({})) -> list[Standing]:
    """Return how each component of a loaded app stands, in load order; what plugins require is looked at too.

    last: how they stood when they last ran, where that is known.
    """
    plugins = app.registry.components("plugin")
    there = {c.name: c for c in plugins if c.state is ComponentState.FOUND}
    absent = {c.name: _absence(c) for c in plugins if c.name not in there}
    missing = start_order({name: c.requires for name, c in there.items()}, absent).failures
    return [
        _standing(app, c, missing.get(c.name, "") if there.get(c.name) is c else "", last.get((c.kind, c.name)))
        for c in app.registry.components()
    ]


def _standing(app: App, component: Component, missing: str, last: LastState | None) -> Standing:
    state, stage, reason = component.state.value, component.stage or "", component.reason
    if component.instance is not None:
        state = "ok"
        if missing:
            state, stage, reason = "failed", "requirement", missing
        elif component.kind != "plugin" and (lacking := component.instance.configured(component.config)):
            state, reason = "off", lacking
    if state == "ok":
        reason = NOT_STARTED if last is None else f"{NOT_STARTED}; {last.text}"
    return Standing(
        kind=component.kind,
        name=component.name,
        state=state,
        stage=str(stage),
        reason=app.masker.text(reason),
        source=component.source,
        well=state != "ok" or last is None or last.well,
    )


def _absence(component: Component) -> str:
    return f"{component.state.value} ({component.reason.rstrip('.')})" if component.reason else component.state.value
