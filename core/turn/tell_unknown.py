"""Telling people of actions whose end nobody saw: the model sees it too, but it may keep silent about it."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core.contracts.deliveries import Delivery, Part
from core.contracts.errors import CannotDeliver
from core.contracts.inputs import Role
from core.contracts.outcomes import OutcomeStatus
from core.contracts.steps import RecordedAction
from core.services import ledger
from core.turn.environment import TurnEnvironment
from core.turn.state import Turn

log = structlog.get_logger("rekku.actions")


async def unknown_notices(
    turn: Turn, env: TurnEnvironment, actions: Sequence[RecordedAction], *, asker_is_told: bool
) -> list[tuple[Part, float]]:
    """Return what is sent to the trainers about the actions that ended as unknown, none for the others.

    A trainer who asked is told where they asked, unless `asker_is_told` already; for anybody else's action every
    trainer is told in private.
    """
    unknown = [action for action in actions if action.outcome.status is OutcomeStatus.UNKNOWN]
    by_trainer = turn.role is Role.TRAINER
    if not unknown or (by_trainer and asker_is_told):
        return []
    asked = "" if by_trainer else f" {turn.input.principal} asked for it in {turn.input.address}."
    text = "\n".join(unknown_sentence(action) + asked for action in unknown)
    parts: list[tuple[Part, float]] = []
    for address in [turn.input.address] if by_trainer else env.people.trainer_addresses():
        try:
            parts += await env.outgoing.prepare(turn.context(), Delivery(address=address, text=text))
        except CannotDeliver as error:
            log.warning("nobody can be told of an unknown end", turn=turn.id, to=str(address), error=str(error))
    return parts


def unknown_sentence(action: RecordedAction) -> str:
    """Return what people are told of one action."""
    return f"It is not known whether this was done: {ledger.summary_line(action)}."
