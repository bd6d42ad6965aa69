"""A step as the session's turn strategy wants it: what it decides, and a reply that is only a plan.

A strategy is asked before each step with the steps that are recorded. So a turn that is taken up after a crash asks
it the same question again. What it answers can only take away: the gate, validation and the ledger are the same.
"""

from __future__ import annotations

from core.contracts.actions import MESSAGE_ACTION, ActionEnvelope, Effect
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.prompts import Prompt
from core.contracts.steps import RecordedAction
from core.contracts.strategies import PLAN_ACTION, StepPlan
from core.turn.converse import Conversation
from core.turn.environment import TurnEnvironment
from core.turn.stages.ask_engine import NotAnswered
from core.turn.stages.parse_reply import parse_reply
from core.turn.state import PendingAction, StepResult, Turn

LONGEST_PLAN = 8000
NOT_WORKING = (
    "The turn strategy {name} of this conversation does not work, so only the actions shown here can be used now. "
    "Say so where that stands in the way; a trainer can type `/strategy default`, and it goes on without it."
)
WRITTEN_DOWN = "Written down. Nothing of it has been done yet."


async def planned(turn: Turn, env: TurnEnvironment) -> StepPlan:
    """Return how the next step is to be taken.

    Once its strategy has failed, a turn goes on without it, but with no more than it has left to the step before. One
    that has said nothing yet, or that no plugin provides, leaves nothing but messages: what it would have taken away
    is not known.
    """
    name = turn.session.strategy
    if not name:
        return StepPlan()
    if not turn.without_strategy:
        plan = await env.strategies.next_step(name, turn.context(tainted=turn.tainted), turn.steps)
        if plan is not None:
            turn.narrowed = _left_by(plan)
            return plan
        turn.without_strategy = True
    if turn.narrowed is None:
        return StepPlan()
    return StepPlan(actions=turn.narrowed, instruction=NOT_WORKING.format(name=name))


def _left_by(plan: StepPlan) -> frozenset[str] | None:
    """Return the types that may run in a step, None: all. In a mere plan none do."""
    if plan.plan_only:
        return frozenset()
    return None if plan.actions is None else frozenset(plan.actions)


async def write_plan(turn: Turn, env: TurnEnvironment, prompt: Prompt) -> StepResult:
    """Take a step whose reply is only a plan: it is recorded as such, and shown to the model in the next steps."""
    deadline = env.clock.monotonic() + env.limits.engine_deadline_s
    turn.tainted = turn.tainted or prompt.tainted
    conversation = Conversation(turn, env, deadline, prompt.tainted)
    reply = await conversation.next_reply(prompt.request)
    await conversation.recorded()
    turn.tainted = turn.tainted or conversation.tainted
    if isinstance(reply, NotAnswered):
        return StepResult(failure=env.masker.text(reply.sentence), tainted=conversation.tainted)
    envelope = ActionEnvelope(type=PLAN_ACTION, payload={"text": env.masker.text(_plan_text(reply.text))})
    outcome = Outcome(status=OutcomeStatus.DONE, output=WRITTEN_DOWN)
    action = RecordedAction(envelope=envelope, outcome=outcome)
    pending = PendingAction(position=0, action=action, effect=Effect.READ.value, started_at_ms=env.clock.now_ms())
    return StepResult(actions=(action,), tainted=conversation.tainted, pending=[pending])


def _plan_text(reply: str) -> str:
    """Return what a reply says, when it says something; else the reply as it is."""
    cut = reply[:LONGEST_PLAN]
    said = [
        action.payload["text"]
        for action in parse_reply(cut).actions
        if action is not None and action.type == MESSAGE_ACTION and isinstance(action.payload.get("text"), str)
    ]
    return "\n".join(said).strip() or cut.strip()
