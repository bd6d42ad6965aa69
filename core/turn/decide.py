"""From a step to what comes next. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.outcomes import OutcomeStatus
from core.contracts.steps import Next, Step

_CAME_TO_NOTHING = (OutcomeStatus.FAILED, OutcomeStatus.DENIED, OutcomeStatus.UNKNOWN)
_TO_BE_SEEN = (*_CAME_TO_NOTHING, OutcomeStatus.SKIPPED)


def decide(step: Step, *, max_steps: int, before: Step | None = None) -> Next:
    """Say what follows a step: another one when there is something that the model has not seen, else the end.

    before: the step that waited for the approval which this one continues with; the model has not seen it either.
    """
    outcomes = [action.outcome for action in step.actions]
    if any(outcome.status is OutcomeStatus.AWAITING_APPROVAL for outcome in outcomes):
        return Next.WAIT
    if before is not None:
        outcomes += [action.outcome for action in before.actions]
    if not any(outcome.has_output or outcome.status in _TO_BE_SEEN for outcome in outcomes):
        return Next.END
    return Next.STEP if step.number + 1 < max_steps else Next.LIMIT


def not_done(steps: Iterable[Step]) -> tuple[str, ...]:
    """Return the types of the actions of a turn that came to nothing and were not done later on.

    What was skipped was so because of another one, and what waits for an approval is told as waiting.
    """
    left: dict[str, None] = {}
    for action in (action for step in steps for action in step.actions):
        if action.outcome.status in _CAME_TO_NOTHING:
            left[action.envelope.type] = None
        elif action.outcome.status is OutcomeStatus.DONE:
            left.pop(action.envelope.type, None)
    return tuple(left)
