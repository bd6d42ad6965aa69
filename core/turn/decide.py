"""From a step to what comes next. Pure."""

from __future__ import annotations

from core.contracts.outcomes import OutcomeStatus
from core.contracts.steps import Next, Step

_TO_BE_SEEN = (OutcomeStatus.FAILED, OutcomeStatus.DENIED, OutcomeStatus.SKIPPED, OutcomeStatus.UNKNOWN)


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
