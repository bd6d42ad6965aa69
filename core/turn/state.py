"""A turn while it runs. The durable truth stands in the tables; this is what one process holds of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from core.contracts.actions import ActionEnvelope, ActionSpec, Effect, Untrusted, WriteFn
from core.contracts.deliveries import Part
from core.contracts.hooks import SessionView, TurnContext
from core.contracts.inputs import Input, Role
from core.contracts.json import JsonObject
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.policy import Question
from core.contracts.prompts import Line
from core.contracts.steps import RecordedAction, Step
from core.services.approvals import Approval, Grant
from core.services.history import Session
from core.services.inbox import Lease
from core.services.ledger import CALLED_FROM, SETTLED, LedgerEntry, RecordedReply


@dataclass(slots=True, kw_only=True)
class Turn:
    """One turn. `steps`: committed. `replies` and `entries`: what an earlier run recorded of the open step.

    approved: the approval that this run continues with. grants: what was approved for the rest of the turn.
    failure: the sentence with which it ended in place of what was asked, or "". undelivered: why what it had to tell
    its chat at last could not be sent, or "".
    tainted: a step of this run, even one that was not committed, saw text that the principal did not write.
    transformed: the hooks have seen the input in this run. received: its words before they did, None: as they are.
    mentioned: what the mentions in it stand for, None: not asked in this run. told_session: the session that was told
    of last. without_strategy: its turn strategy has failed in it. narrowed: the types that its strategy has left to
    the step before; None: all, empty before it has said anything. offered: the types that the model was told of last;
    None: no model was asked. notes: the ids of the notes that the prompt of its last step held.
    undoes: what this turn takes back (the id of the compensation that it runs), or 0.
    done_by_calls: by hash, what actions have called and what ended, or may have, as far as it is written down.
    sent: the outbox rows (id, address) of this run. history_is_long: it is time to summarize the session.
    """

    id: int
    input: Input
    lease: Lease
    session: Session
    role: Role
    resumed: int
    received_at_ms: int
    steps: list[Step] = field(default_factory=list)
    replies: tuple[RecordedReply, ...] = ()
    entries: tuple[LedgerEntry, ...] = ()
    approved: Approval | None = None
    grants: tuple[Grant, ...] = ()
    history_is_long: bool = False
    tainted: bool = False
    transformed: bool = False
    received: str | None = None
    mentioned: Mapping[str, str | Untrusted] | None = None
    without_strategy: bool = False
    narrowed: frozenset[str] | None = frozenset()
    offered: frozenset[str] | None = None
    failed: bool = False
    told_session: SessionView | None = None
    failure: str = ""
    undelivered: str = ""
    undoes: int = 0
    notes: tuple[int, ...] = ()
    sent: list[tuple[int, str]] = field(default_factory=list)
    done_by_calls: dict[str, Outcome] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """The number of the step that is open."""
        return len(self.steps)

    def note_calls(self, written: Iterable[PendingAction]) -> None:
        """Note of what was written down what actions have called."""
        for action in (one for whole in written for one in whole.with_calls()):
            if action.position >= CALLED_FROM and action.action.outcome.status in SETTLED:
                self.done_by_calls[action.action.envelope.hash] = action.action.outcome

    def question(self, spec: ActionSpec, payload: JsonObject, *, tainted: bool) -> Question:
        """Return what the gate is asked about an action of the turn."""
        return Question(
            spec=spec,
            payload=payload,
            principal=self.input.principal,
            role=self.role,
            address=self.input.address,
            tainted=tainted,
            origin=self.input.origin,
        )

    def context(self, *, tainted: bool = False) -> TurnContext:
        """Return what hooks see of the turn."""
        return TurnContext(
            turn_id=self.id,
            principal=self.input.principal,
            role=self.role,
            address=self.input.address,
            origin=self.input.origin,
            text=self.input.text,
            tainted=tainted,
            session=self.session.view,
        )


@dataclass(slots=True, kw_only=True)
class PendingAction:
    """An action whose ledger row is not written yet: the row, and what is written in the same transaction.

    ran: its handler was called. calls: what its handler called of other plugins, which is written before it and is
    undone with it.
    """

    position: int
    action: RecordedAction
    effect: str
    started_at_ms: int
    writes: list[WriteFn] = field(default_factory=list)
    parts: list[tuple[Part, float]] = field(default_factory=list)
    approval: Approval | None = None
    undo: ActionEnvelope | None = None
    ran: bool = False
    calls: list[PendingAction] = field(default_factory=list)

    def with_calls(self) -> Iterator[PendingAction]:
        """Yield what it called, and then itself."""
        for call in self.calls:
            yield from call.with_calls()
        yield self

    def drop_writes(self) -> None:
        """Drop what it would write and send; what it called and would have written is failed."""
        self.writes, self.parts = [], []
        for call in self.calls:
            call.drop_writes()
            if call.effect == Effect.LOCAL.value and call.action.outcome.status is OutcomeStatus.DONE:
                reason = f"Not kept: {self.action.envelope.type}, which called it, ended as failed."
                outcome = Outcome(status=OutcomeStatus.FAILED, reason=reason)
                call.action = replace(call.action, outcome=outcome)


@dataclass(slots=True, kw_only=True)
class StepResult:
    """A step that was taken and is to be committed.

    failure: a sentence for the user when the step came to nothing (no engine, no valid reply). tell: what the user
    of a typed command is told of its outcome. said: rows of history, by the position of the action that said it.
    ends: the turn ends with it, since no model is to see what became of it: a hook
    has answered, or the turn strategy wants no more.
    """

    actions: tuple[RecordedAction, ...] = ()
    tainted: bool = False
    pending: list[PendingAction] = field(default_factory=list)
    said: dict[int, list[Line]] = field(default_factory=dict)
    failure: str = ""
    tell: str = ""
    ends: bool = False
