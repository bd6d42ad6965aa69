"""A run that touches nothing outside: what stands for the world in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.contracts.actions import MESSAGE_ACTION, ActionEnvelope, ActionSpec, Effect
from core.contracts.outcomes import Outcome, OutcomeStatus

NOTHING_DONE = "Nothing was done, this is a dry run: "
WOULD_RUN = f"{NOTHING_DONE}it would be run now."
WOULD_ASK = f"{NOTHING_DONE}it would wait for an approval now. {{reason}}"


def is_rehearsed(outcome: Outcome) -> bool:
    """Whether it is what stands for an action that would have been run, or asked for."""
    return outcome.status is OutcomeStatus.SKIPPED and outcome.reason.startswith(NOTHING_DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What external actions are answered with in place of being run.

    outcomes: what became of actions when it was for real, by their hash. asks: whether what needs an approval is put
    to who may give it; otherwise it is told as well. answered: collects the hashes of those that were answered from
    `outcomes`. tell: is told of each action that would be run or asked for, and of each that was done where nothing
    is kept. left_out: is told of each thing that a plugin would set going by itself.
    """

    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    asks: bool = False
    answered: set[str] = field(default_factory=set)
    tell: Callable[[str, ActionEnvelope], None] = lambda what, envelope: None
    left_out: Callable[[str], None] = lambda what: None

    def in_place_of(self, spec: ActionSpec, envelope: ActionEnvelope) -> Outcome | None:
        """Return what an action is answered with, None when it may run: it reads, or writes to the database alone."""
        before = self.outcomes.get(envelope.hash)
        if before is not None and (spec.effect is Effect.EXTERNAL or spec.reads_outside):
            self.answered.add(envelope.hash)
            return before
        if spec.effect is not Effect.EXTERNAL:
            return None
        self.tell("would be run", envelope)
        return Outcome(status=OutcomeStatus.SKIPPED, reason=WOULD_RUN)

    def done_in_copy(self, spec: ActionSpec, envelope: ActionEnvelope) -> None:
        """Tell of an action that was done where nothing is kept; what it says is seen anyway."""
        if spec.effect is Effect.LOCAL and spec.type != MESSAGE_ACTION:
            self.tell("was done in the copy alone", envelope)

    def in_place_of_asking(self, envelope: ActionEnvelope, reason: str) -> Outcome | None:
        """Return what an action is answered with that needs an approval; None when it is to be asked for."""
        if self.asks:
            return None
        self.tell("would wait for an approval", envelope)
        return Outcome(status=OutcomeStatus.SKIPPED, reason=WOULD_ASK.format(reason=reason).strip())
