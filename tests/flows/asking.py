"""An app in which an action has to be approved, for the flows about approvals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from core.contracts.inputs import Role
from core.testing import RunningApp, ScriptedEngine, running_app
from core.testing.engine import Answer
from tests.flows.records import SILENCE
from tests.flows.workshop import Workshop

ASK = ({"verdict": "ask", "action": "press"},)
PRESS = ("press", {"button": "a"})


@asynccontextmanager
async def asking_app(
    *answers: Answer, workshop: Workshop | None = None, strangers: Role = Role.USER, **settings: Any
) -> AsyncIterator[tuple[RunningApp, Workshop]]:
    """Run an app in which `press` has to be approved, by `trainer` or `boss`."""
    workshop = workshop or Workshop()
    given = {"trainer_ids": frozenset({"test:trainer", "test:boss"}), "policy_rules": ASK, **settings}
    async with running_app(
        engine=ScriptedEngine(*answers, otherwise=SILENCE), plugins=[workshop], access="open", **given
    ) as kit:
        kit.app.env.people._strangers = strangers
        yield kit, workshop


async def waiting_id(kit: RunningApp) -> str:
    (row,) = await kit.rows("SELECT id FROM approvals WHERE state = 'waiting'")
    return str(row["id"])


async def continued(kit: RunningApp, ends: int) -> None:
    """Wait until so many turns (commands and continuations included) have ended."""
    await kit.interface.until(lambda: len(kit.interface.ends) >= ends, f"{ends} ends")
