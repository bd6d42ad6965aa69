"""The checks that plugins have added, asked of the process that runs: `rekku doctor` starts no plugin itself."""

from __future__ import annotations

import asyncio

from core.commands.check import FAILED, OK, WARNING, Check
from core.commands.exit_status import CommandFailed
from core.commands.health import asked, url_of
from core.health.readiness import CHECK
from core.settings import Settings


async def running_checks(settings: Settings, process: str) -> list[Check]:
    """Return them, none where `process`, which runs on the home, does not tell them over HTTP."""
    if not process:
        return []
    try:
        told = await asyncio.to_thread(asked, url_of(settings))
        if str(told["process"]) not in process.split(", "):
            return []  # whoever listens there serves another home
        parts = [part for part in told["parts"] if part["kind"] == CHECK]
        return [
            Check(area=CHECK, name=str(part["name"]), state=_state(part), detail=str(part["reason"]))
            for part in parts
        ]
    except (CommandFailed, KeyError, TypeError):
        return []


def _state(part: dict[str, object]) -> str:
    if part["state"] == OK:
        return OK
    return FAILED if part["required"] is True else WARNING
