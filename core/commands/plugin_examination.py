"""What plugins say of themselves to `rekku doctor`, without being started."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from core.app import App
from core.commands.check import FAILED, OK, WARNING, Check
from core.component_context import ComponentContext
from core.contracts.deliveries import Health
from core.contracts.errors import RekkuError
from core.services.foreign import Raised
from core.turn.environment import TurnEnvironment

EXAMINATION_S = 25.0


async def plugin_asked(app: App, check: Check) -> Check:
    """Return the check of a plugin that loads cleanly with what it says; of anything else the check as it is.

    The plugin gets a directory that is empty and thrown away, so that nothing of the home is created or changed.
    """
    component = app.registry.get("plugin", check.name)
    examine = getattr(component.instance, "examine", None) if component is not None else None
    if check.area != "plugin" or check.state != OK or component is None or examine is None:
        return check
    with tempfile.TemporaryDirectory(prefix="rekku-doctor-") as empty:
        context = ComponentContext(
            kind="plugin",
            name=check.name,
            home=Path(empty),
            timezone=app.settings.timezone,
            clock=app.clock,
            database=app.database,
            shared_services=app.registry.services,
            schedule=app.schedule,
            bus=app.events,
            redeclare=_in_vain,
            foreign=app.foreign,
            slots=app.host.slots,
            env=_none,
        )
        component.instance.context = context
        answer = await app.foreign.call(f"{check.name}.examine", examine, EXAMINATION_S)
        await context.release()
    if isinstance(answer, Raised):
        return replace(check, state=FAILED, detail=answer.sentence)
    health = answer.value
    if not isinstance(health, Health):
        return check
    state = FAILED if not health.ok else WARNING if health.cure else OK
    return replace(check, state=state, detail=health.detail, cure=health.cure)


def _none() -> TurnEnvironment:
    raise RekkuError("This works once Rekku has started.")


async def _in_vain(name: str) -> None:
    """What has not started has no actions that could change."""
