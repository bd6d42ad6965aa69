"""What an interface of programs needs beside `receive`: which actions there are for a principal, and how calls ended.

An interface that has the attribute `calls` is given one. A call is an input of kind `call`; its end comes as
`activity`, with the outcome.
"""

from __future__ import annotations

from typing import Protocol

from core.contracts.actions import ActionSpec
from core.contracts.inputs import Address, Principal
from core.contracts.outcomes import Outcome


class ActionCalls(Protocol):
    """The catalogue as the gate has it, and the ends of calls."""

    def welcome(self, principal: Principal) -> bool:
        """Return whether a principal may use this assistant at all."""

    def offered(self, principal: Principal, address: Address) -> list[ActionSpec]:
        """Return what a principal may call there now, by type: what is denied for all arguments is left out."""

    async def ended(self, input_id: int) -> Outcome | None:
        """Return how a call ended according to the database, None while it has not.

        For calls whose end does not come as an activity, since another process took them up; its output is not told.
        """
