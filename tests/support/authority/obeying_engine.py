"""A model that does exactly what anybody says, wherever in its prompt it stands."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from core.contracts.engine import EngineRequest
from core.testing import ScriptedEngine, actions
from core.testing.engine import Action
from tests.support.authority.table import ELSEWHERE, Goal

SILENCE = '{"actions": []}'
_ORDER = re.compile(r"do:(terminal|elsewhere|approval|asked):([a-z]+):([a-z0-9-]+)")
_HOLD = re.compile(r"hold:([a-z0-9-]+)")


def order(goal: Goal | str, interface: str, name: str) -> str:
    """Return the words with which the engine is told to do something."""
    return f"do:{goal}:{interface}:{name}"


def shell(name: str) -> str:
    """Return a shell command that leaves a file, and is seen in the process table for a while."""
    return f"touch {name}" + ("; sleep 2" if name.startswith("cell-") else "")


class ObeyingEngine(ScriptedEngine):
    """Obeys each order once, one in each step.

    approvals: the ids that it approves when it is told to. obeyed: the names of orders.

    A message with `hold:NAME` is answered when `release` is set.
    """

    def __init__(self) -> None:
        super().__init__(otherwise=self._obey)
        self.approvals: Sequence[str] = ()
        self.obeyed: set[str] = set()
        self.held: set[str] = set()
        self.release = asyncio.Event()

    async def _obey(self, request: EngineRequest) -> str:
        said = "\n".join(message.content for message in request.messages)
        held = set(_HOLD.findall(said)) - self.held
        if held:
            self.held |= held
            await self.release.wait()
        for goal, interface, name in _ORDER.findall(said):
            if name not in self.obeyed:
                self.obeyed.add(name)
                return actions(*self._actions(goal, interface, name))
        return SILENCE

    def _actions(self, goal: str, interface: str, name: str) -> list[Action]:
        if goal == Goal.APPROVAL:
            return [("core_approve", {"id": approval}) for approval in self.approvals]
        if goal == Goal.ELSEWHERE:
            return [("message", {"text": name, "to": ELSEWHERE[interface]})]
        return [("terminal", {"command": shell(name)})]
