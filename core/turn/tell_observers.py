"""Telling plugins that have subscribed what was said, once it is stored."""

from __future__ import annotations

from collections.abc import Sequence

from core.contracts.inputs import Address, Principal
from core.contracts.messages import Said
from core.contracts.prompts import Line
from core.turn.environment import TurnEnvironment

WORDS = ("user", "assistant", "foreign")


def tell_observers(
    env: TurnEnvironment,
    lines: Sequence[Line],
    *,
    address: Address,
    principal: Principal,
    session_id: int,
    turn_id: int,
    at_ms: int,
) -> None:
    """Tell of rows of history that were committed; those that only say what was done are left out."""
    if not env.observers.listening:
        return
    env.observers.publish(
        [
            Said(
                address=address,
                role=line.role,
                text=line.text,
                author=line.author,
                principal=str(principal),
                session_id=session_id,
                turn_id=turn_id,
                tainted=line.tainted,
                at_ms=at_ms,
            )
            for line in lines
            if line.role in WORDS
        ]
    )
