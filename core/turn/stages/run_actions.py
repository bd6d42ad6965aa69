"""The actions of a reply, in order, to their outcomes. The rules of the order stand here, the effects elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.contracts.actions import ActionEnvelope, ActionSpec
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.policy import Decision, Verdict
from core.contracts.steps import RecordedAction

STOPS = (OutcomeStatus.FAILED, OutcomeStatus.DENIED, OutcomeStatus.UNKNOWN, OutcomeStatus.AWAITING_APPROVAL)
"""After an outcome like these, the rest of the reply is skipped: it was written in the belief that all went well."""


class ActionsOfStep(Protocol):
    """What this stage is given: the facts about one step, and the ways to act."""

    def spec(self, envelope: ActionEnvelope) -> ActionSpec | None:
        """Return the declaration, or None when the plugin is gone by now."""

    async def recorded(self, position: int) -> RecordedAction | None:
        """Return what an earlier run of this very step recorded."""

    def done_before(self, envelope: ActionEnvelope) -> Outcome | None:
        """Return the outcome of the same action if it was done in this turn already."""

    def gate(self, spec: ActionSpec, envelope: ActionEnvelope) -> Decision:
        """Ask the gate, now."""

    async def ask_approval(self, position: int, envelope: ActionEnvelope, decision: Decision) -> Outcome:
        """Put the action to who may approve it."""

    async def perform(self, position: int, spec: ActionSpec, envelope: ActionEnvelope) -> RecordedAction:
        """Run the handler."""

    async def note(self, position: int, envelope: ActionEnvelope, outcome: Outcome) -> RecordedAction:
        """Note an outcome without running anything."""


async def run_actions(actions: Sequence[ActionEnvelope], step: ActionsOfStep) -> tuple[RecordedAction, ...]:
    """Run what may run, and return what became of each action."""
    done: list[RecordedAction] = []
    stopped_by = ""
    output_from = ""
    for position, envelope in enumerate(actions):
        action = await _one(position, envelope, step, stopped_by, output_from)
        done.append(action)
        if action.outcome.status in STOPS and not stopped_by:
            stopped_by = f"{envelope.type} before it ended as {action.outcome.status}"
        if action.outcome.has_output and not output_from:
            output_from = envelope.type
    return tuple(done)


async def _one(
    position: int, envelope: ActionEnvelope, step: ActionsOfStep, stopped_by: str, output_from: str
) -> RecordedAction:
    recorded = await step.recorded(position)
    if recorded is not None:
        return recorded

    async def without_running(status: OutcomeStatus, reason: str) -> RecordedAction:
        return await step.note(position, envelope, Outcome(status=status, reason=reason))

    spec = step.spec(envelope)
    if spec is None:
        return await without_running(OutcomeStatus.FAILED, "The plugin of this action is not active any more.")
    if stopped_by:
        return await without_running(OutcomeStatus.SKIPPED, f"Not run: {stopped_by}.")
    if output_from and not spec.returns_output:
        reason = f"Not run: you had not seen the output of {output_from} when you wrote it."
        return await without_running(OutcomeStatus.SKIPPED, reason)
    before = None if spec.repeatable else step.done_before(envelope)
    if before is not None:
        return await step.note(position, envelope, before)
    decision = step.gate(spec, envelope)
    if decision.verdict is Verdict.DENY:
        return await without_running(OutcomeStatus.DENIED, decision.reason)
    if decision.verdict is Verdict.ASK:
        return await step.note(position, envelope, await step.ask_approval(position, envelope, decision))
    return await step.perform(position, spec, envelope)
