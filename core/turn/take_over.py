"""What a handler wants written and sent, added to the row of its action."""

from __future__ import annotations

from dataclasses import replace

from core.contracts.actions import ActionSpec, Effect
from core.contracts.errors import CannotDeliver
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.prompts import Line
from core.contracts.steps import RecordedAction
from core.turn.environment import TurnEnvironment
from core.turn.running_action import RunningAction
from core.turn.state import PendingAction, Turn


async def take_over(
    turn: Turn, env: TurnEnvironment, pending: PendingAction, running: RunningAction, spec: ActionSpec | None
) -> list[Line]:
    """Add what a handler that is done wants written and sent; return what it said in its chat.

    Where a message of it cannot be delivered, an action that only writes has failed.
    """
    outside = running.tainted or (spec is not None and spec.reads_outside)
    pending.writes, pending.undo, pending.calls = running.writes, running.undo, running.called
    for delivery in running.deliveries:
        try:
            pending.parts += await env.outgoing.prepare(turn.context(tainted=running.tainted), delivery)
        except CannotDeliver as error:
            outcome = pending.action.outcome
            if pending.effect == Effect.EXTERNAL.value:
                # The world was touched: it was done, whatever becomes of what it had to say.
                reason = f"It was done, but its message cannot be delivered: {error.explain()}"
                outcome = replace(outcome, reason=reason, output=outcome.output or reason)
                pending.parts = []
            else:
                outcome = Outcome(status=OutcomeStatus.FAILED, reason=error.explain())
                pending.drop_writes()
            pending.action = RecordedAction(
                envelope=pending.action.envelope, outcome=outcome, ledger_id=pending.action.ledger_id
            )
            return running.said if pending.effect == Effect.EXTERNAL.value else []
    own = [delivery for delivery in running.deliveries if delivery.address == turn.input.address]
    said = [Line(role="assistant", text=delivery.text, tainted=outside or delivery.tainted) for delivery in own]
    return [*running.said, *said]
