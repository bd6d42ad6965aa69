"""What the model sees of an outcome: what the hooks make of it, now and whenever its step is taken up again."""

from __future__ import annotations

from dataclasses import replace

from core.contracts.outcomes import Outcome
from core.contracts.steps import RecordedAction
from core.turn.environment import TurnEnvironment
from core.turn.state import Turn


async def shown(turn: Turn, env: TurnEnvironment, action: RecordedAction, tainted: bool) -> RecordedAction:
    """Return an action with what `after_action` lets the model see of it; the ledger never has that."""
    if not env.hooks.has("after_action"):
        return action
    seen = await env.hooks.chain("after_action", turn.context(tainted=tainted), action.outcome, action.envelope)
    if not isinstance(seen, Outcome) or seen is action.outcome:
        return action
    return replace(action, shown=seen)


async def shown_again(turn: Turn, env: TurnEnvironment) -> None:
    """Ask the hooks anew about the steps that were read from the ledger: what they hid then stays hidden."""
    if not env.hooks.has("after_action"):
        return
    for place, step in enumerate(turn.steps):
        actions = tuple([await shown(turn, env, action, step.tainted) for action in step.actions])
        tainted = step.tainted or any(action.seen.tainted for action in actions)
        turn.steps[place] = replace(step, actions=actions, tainted=tainted)
        turn.tainted = turn.tainted or tainted
