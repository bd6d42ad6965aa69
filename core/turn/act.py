"""Running the actions of one step for real: the gate, the handler, and what is written around it, by effect.

`read` may be repeated, so its row waits for the step's commit. `local` hands over its writes, which share one
transaction with its row: the next one that is written, at the latest the step's commit. `external` has its intent
committed before it starts and its end as soon as it is seen; when the end is not seen, the outcome is unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import structlog

from core.contracts.actions import MESSAGE_ACTION, ActionEnvelope, ActionSpec, Effect
from core.contracts.deliveries import Delivery, Part
from core.contracts.errors import CannotDeliver
from core.contracts.inputs import InputKind
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.policy import Decision, Verdict
from core.contracts.prompts import Line
from core.contracts.steps import RecordedAction
from core.services import history, ledger
from core.services.hooks import Unchecked
from core.turn.ask_approval import approval_request
from core.turn.call_action import CalledActions
from core.turn.environment import Entry, TurnEnvironment
from core.turn.guard_action import guard_action
from core.turn.record_intent import record_intent
from core.turn.running_action import STOPPED, RunningAction, run_handler, unknown
from core.turn.show_outcome import shown
from core.turn.stages.authorize import authorize
from core.turn.state import PendingAction, Turn
from core.turn.take_over import take_over
from core.turn.tell_events import tell_action_started
from core.turn.write_pending import WriteFailed, write_end, write_pending

log = structlog.get_logger("rekku.actions")

WRITING_S = 3.0


class Acting:
    """The facts and the ways of one step, for the stage `run_actions`."""

    def __init__(
        self,
        turn: Turn,
        env: TurnEnvironment,
        catalogue: Mapping[str, Entry],
        tainted: bool,
        refused: Mapping[str, str],
        only: Collection[str] | None = None,
    ) -> None:
        self._turn = turn
        self._env = env
        self._catalogue = catalogue
        self._tainted = tainted
        self._entries = {entry.position: entry for entry in turn.entries}
        self._done = {
            action.envelope.hash: action.outcome
            for step in turn.steps
            for action in step.actions
            if action.outcome.status in ledger.SETTLED
        }
        self._done |= turn.done_by_calls
        self._broken = ""
        self._refused = refused
        self._only = only
        self.held_up: Unchecked | None = None
        self.pending: list[PendingAction] = []
        self.said: dict[int, list[Line]] = {}

    def spec(self, envelope: ActionEnvelope) -> ActionSpec | None:
        entry = self._catalogue.get(envelope.type)
        return None if entry is None else entry.spec

    async def recorded(self, position: int) -> RecordedAction | None:
        entry = self._entries.get(position)
        if entry is None:
            return None
        outcome = entry.outcome or unknown("The process stopped while it ran.")
        action = RecordedAction(envelope=entry.envelope, outcome=outcome, ledger_id=entry.row_id)
        if outcome.status in ledger.SETTLED:
            self._done[entry.envelope.hash] = outcome
        self.said[position] = history.said(action, self._turn.input.address, self._tainted)
        return await self._after(action)

    def done_before(self, envelope: ActionEnvelope) -> Outcome | None:
        return self._done.get(envelope.hash)

    def gate(self, spec: ActionSpec, envelope: ActionEnvelope) -> Decision:
        if envelope.hash in self._refused:
            reason = f"It is not valid any more: {self._refused[envelope.hash]}"
            return Decision(verdict=Verdict.DENY, reason=reason)
        if self._only is not None and spec.type not in (*self._only, MESSAGE_ACTION):
            return Decision(verdict=Verdict.DENY, reason=f"{spec.type} is not to be used in this step.")
        if not spec.model and self._turn.input.kind is not InputKind.COMMAND:
            return Decision(verdict=Verdict.DENY, reason=f"{spec.type} can only be typed, as /{spec.command}.")
        decision = authorize(self._turn.question(spec, envelope.payload, tainted=self._tainted), self._env.rules)
        if decision.verdict is Verdict.ASK and self._approval_covers(spec, envelope, decision):
            return Decision(verdict=Verdict.ALLOW, reason=f"Approved. {decision.reason}", rule=decision.rule)
        return decision

    def _approval_covers(self, spec: ActionSpec, envelope: ActionEnvelope, decision: Decision) -> bool:
        approved = self._turn.approved
        if approved is not None and approved.hash == envelope.hash:
            return True
        return any(grant.covers(spec, envelope, decision.reason) for grant in self._turn.grants)

    async def ask_approval(self, position: int, envelope: ActionEnvelope, decision: Decision) -> Outcome:
        if await self._write_first():
            return Outcome(status=OutcomeStatus.SKIPPED, reason=self._broken)
        rehearsal = self._env.rehearsal
        if rehearsal is not None and (instead := rehearsal.in_place_of_asking(envelope, decision.reason)):
            return instead
        asked = approval_request(self._turn, self._env, position, envelope, decision)
        questions = [] if asked is None else await self._prepared(asked.questions)
        if asked is None or not (questions or self._turn.input.kind is InputKind.CALL):
            return Outcome(
                status=OutcomeStatus.DENIED, reason=f"{decision.reason} No trainer can be asked to approve it."
            )
        outcome = Outcome(
            status=OutcomeStatus.AWAITING_APPROVAL, reason=decision.reason, approval_id=asked.approval.id
        )
        pending = self._pending(position, RecordedAction(envelope=envelope, outcome=outcome), Effect.LOCAL)
        pending.approval = asked.approval
        pending.parts = [*questions, *await self._prepared(asked.notices)]
        self.pending.append(pending)
        return outcome

    async def _prepared(self, deliveries: Sequence[Delivery]) -> list[tuple[Part, float]]:
        """Return the parts of those deliveries that can be made at all."""
        parts: list[tuple[Part, float]] = []
        for delivery in deliveries:
            try:
                parts += await self._env.outgoing.prepare(self._turn.context(tainted=self._tainted), delivery)
            except CannotDeliver as error:
                log.warning("nobody can be asked there", address=str(delivery.address), error=error.explain())
        return parts

    async def note(self, position: int, envelope: ActionEnvelope, outcome: Outcome) -> RecordedAction:
        action = RecordedAction(envelope=envelope, outcome=outcome)
        if not any(pending.position == position for pending in self.pending):
            spec = self.spec(envelope)
            effect = Effect.READ if spec is None else spec.effect
            self.pending.append(self._pending(position, action, effect))
        return await self._after(action)

    async def perform(self, position: int, spec: ActionSpec, envelope: ActionEnvelope) -> RecordedAction:
        if await self._write_first():
            return await self.note(position, envelope, Outcome(status=OutcomeStatus.SKIPPED, reason=self._broken))
        blocked = await guard_action(self._env, self._turn.context(tainted=self._tainted), spec, envelope)
        if blocked is not None:
            self.held_up = blocked if isinstance(blocked, Unchecked) else None
            outcome = Outcome(status=OutcomeStatus.DENIED, reason=blocked.reason)
            return await self.note(position, envelope, outcome)
        rehearsal = self._env.rehearsal
        if rehearsal is not None and (instead := rehearsal.in_place_of(spec, envelope)):
            return await self.note(position, envelope, instead)
        entry = self._catalogue[envelope.type]
        calls = CalledActions(self._turn, self._env, self._catalogue, position, self._done, self._only)
        running = RunningAction(self._turn, self._env, position, spec, self._tainted, call=calls.call)
        started_at_ms = self._env.clock.now_ms()
        if spec.effect is Effect.EXTERNAL:
            return await self._perform_external(position, entry, envelope, running, started_at_ms)
        tell_action_started(self._env, self._turn, position, spec, envelope)
        outcome = await run_handler(self._env, entry, envelope, running)
        self._env.reached("action done")
        action = RecordedAction(envelope=envelope, outcome=outcome)
        pending = self._pending(position, action, spec.effect, started_at_ms)
        pending.ran = True
        if outcome.status is OutcomeStatus.DONE:
            self.said[position] = await take_over(self._turn, self._env, pending, running, spec)
            action = pending.action
            outcome = action.outcome
        else:
            pending.calls = running.called
            pending.drop_writes()
        self.pending.append(pending)
        if outcome.status is OutcomeStatus.DONE:
            self._done[envelope.hash] = outcome
            if rehearsal is not None:
                rehearsal.done_in_copy(spec, envelope)
        return await self._after(action)

    async def _perform_external(
        self, position: int, entry: Entry, envelope: ActionEnvelope, running: RunningAction, started_at_ms: int
    ) -> RecordedAction:
        turn, env = self._turn, self._env
        row_id = await record_intent(turn, env, position, envelope, started_at_ms)
        env.reached("action started")
        tell_action_started(env, turn, position, entry.spec, envelope)
        try:
            outcome = await run_handler(env, entry, envelope, running)
        except asyncio.CancelledError:
            stopped = self._end_of_intent(position, row_id, envelope, running.seen_as(unknown(STOPPED)))
            await asyncio.shield(write_end(self._turn, self._env, stopped))
            raise
        env.reached("action done")
        # Its end was seen: a cancellation must not lose that.
        writing = asyncio.ensure_future(self._end(position, row_id, envelope, outcome, running))
        try:
            action = await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing}, timeout=WRITING_S)
            raise
        return await self._after(action)

    async def _end(
        self, position: int, row_id: int, envelope: ActionEnvelope, outcome: Outcome, running: RunningAction
    ) -> RecordedAction:
        """Write down how an external action ended, with what it writes and sends."""
        turn, env = self._turn, self._env
        action = RecordedAction(envelope=envelope, outcome=outcome, ledger_id=row_id)
        pending = self._end_of_intent(position, row_id, envelope, outcome)
        pending.calls = running.called
        if outcome.status is OutcomeStatus.DONE:
            self.said[position] = await take_over(turn, env, pending, running, running.spec)
            action = pending.action
        if outcome.status in ledger.SETTLED:
            self._done[envelope.hash] = outcome
        try:
            await write_end(turn, env, pending)
        except WriteFailed as failure:
            # The world was touched, only what should have been written about it is lost: done, and says so.
            reason = f"It was done, but what it wrote is lost: {failure.reason}"
            outcome = Outcome(status=OutcomeStatus.DONE, reason=reason, output=outcome.output or reason)
            action = RecordedAction(envelope=envelope, outcome=outcome, ledger_id=row_id)
            await write_end(turn, env, self._end_of_intent(position, row_id, envelope, outcome))
        return action

    async def _write_first(self) -> bool:
        """Write what is pending before something new is begun; True when that failed, and so nothing new may be."""
        failed = None if self._broken else await self._flush()
        if failed is not None:
            self._broken = f"Not run: {failed.action.envelope.type} before it ended as failed."
        return bool(self._broken)

    async def _flush(self) -> PendingAction | None:
        """Write what is pending before the next handler runs, which may want to see it; return what failed."""
        if not any(pending.writes or pending.parts for pending in self.pending):
            return None
        try:
            await write_pending(self._turn, self._env, self.pending)
        except WriteFailed as failure:
            failed = failure.pending
            outcome = Outcome(status=OutcomeStatus.FAILED, reason=failure.reason)
            failed.action = RecordedAction(envelope=failed.action.envelope, outcome=outcome)
            failed.drop_writes()
            self.said.pop(failed.position, None)
            return failed
        self.pending = []
        return None

    def corrected(self, actions: Sequence[RecordedAction]) -> tuple[RecordedAction, ...]:
        """Return the actions as the ledger will have them: a write may have failed after its action was counted."""
        latest = list(actions)
        for pending in self.pending:
            if latest[pending.position].outcome is not pending.action.outcome:
                latest[pending.position] = pending.action
        return tuple(latest)

    async def _after(self, action: RecordedAction) -> RecordedAction:
        return await shown(self._turn, self._env, action, self._tainted)

    def _pending(
        self, position: int, action: RecordedAction, effect: Effect, started_at_ms: int | None = None
    ) -> PendingAction:
        now_ms = self._env.clock.now_ms() if started_at_ms is None else started_at_ms
        return PendingAction(position=position, action=action, effect=effect.value, started_at_ms=now_ms)

    def _end_of_intent(self, position: int, row_id: int, envelope: ActionEnvelope, outcome: Outcome) -> PendingAction:
        action = RecordedAction(envelope=envelope, outcome=outcome, ledger_id=row_id)
        pending = self._pending(position, action, Effect.EXTERNAL)
        pending.ran = True
        return pending
