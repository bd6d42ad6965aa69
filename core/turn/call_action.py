"""An action that a handler calls of another plugin: validated, authorized and recorded inside of its caller.

It may touch no more than its caller has declared: what is called by an action that may be run again after a crash may
be run again too, and what touches the world is called by something that is never repeated by itself. So nothing that
is called is done twice. Its row stands in the ledger behind those of the step (`ledger.CALLED_FROM`).
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches

import structlog

from core.contracts.actions import ActionEnvelope, ActionSpec, Effect
from core.contracts.errors import ActionFailed
from core.contracts.hooks import Block
from core.contracts.inputs import InputKind
from core.contracts.json import Json, JsonObject, compact
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.policy import Decision, Verdict
from core.contracts.steps import ParsedReply, RecordedAction
from core.near_names import suggestion
from core.services import ledger
from core.turn.call_check import check_call
from core.turn.environment import Entry, TurnEnvironment
from core.turn.guard_action import guard_action
from core.turn.record_intent import record_intent
from core.turn.running_action import STOPPED, RunningAction, run_handler, unknown
from core.turn.show_outcome import shown
from core.turn.stages.authorize import authorize
from core.turn.stages.check_actions import check_actions
from core.turn.stages.validate_actions import validate_actions
from core.turn.state import PendingAction, Turn
from core.turn.take_over import take_over
from core.turn.tell_events import tell_action_started
from core.turn.write_pending import WriteFailed, write_end

log = structlog.get_logger("rekku.actions")

MOST_DEPTH = 3
MOST_CALLS = 50
"""In one action of a step, through all depths."""
LARGEST_PAYLOAD = 1024 * 1024
_REACH = (Effect.READ, Effect.LOCAL, Effect.EXTERNAL)


class CalledActions:
    """What one action of a step calls of other plugins."""

    def __init__(
        self,
        turn: Turn,
        env: TurnEnvironment,
        catalogue: Mapping[str, Entry],
        position: int,
        done: dict[str, Outcome],
        only: Collection[str] | None,
    ) -> None:
        """done: by hash, what ended in this turn, or may have. only: what the turn strategy leaves, if it narrows."""
        self._turn = turn
        self._env = env
        self._catalogue = catalogue
        self._next = ledger.CALLED_FROM + position * ledger.CALLED_OF_ONE
        self._left = MOST_CALLS
        self._under_way: set[str] = set()
        self._done = done
        self._only = only

    async def call(self, running: RunningAction, caller: str, plugin: str, type_: str, payload: JsonObject) -> Json:
        """Run an action inside of `running` and return its output; raises ActionFailed when it is not done."""
        entry = self._entry(running, plugin, type_)
        envelope = await self._validated(running, entry.spec, type_, payload)
        if envelope.hash in self._under_way:
            cure = "Call it again when it has ended: what it has returned is returned again."
            raise ActionFailed(f"{type_} is being done with this payload already.", cure=cure)
        position, self._next = self._next, self._next + 1
        before = None if entry.spec.repeatable else self._done.get(envelope.hash)
        if before is not None:
            return _result(running, await self._noted(running, position, envelope, entry.spec, before))
        decision = self._gate(entry.spec, envelope, running)
        if decision.verdict is not Verdict.ALLOW:
            reason = decision.reason
            if decision.verdict is Verdict.ASK:
                reason = f"It needs an approval, which an action inside of another cannot wait for. {reason}"
            outcome = Outcome(status=OutcomeStatus.DENIED, reason=reason)
            action = await self._noted(running, position, envelope, entry.spec, outcome)
        else:
            if not entry.spec.repeatable:
                self._under_way.add(envelope.hash)
            try:
                action = await self._performed(running, position, entry, envelope)
            finally:
                self._under_way.discard(envelope.hash)
            if action.outcome.status in ledger.SETTLED:
                self._done[envelope.hash] = action.outcome
        return _result(running, action)

    def _entry(self, running: RunningAction, plugin: str, type_: str) -> Entry:
        if running.over:
            raise ActionFailed(f"{type_} cannot be called any more: the action that calls it has ended.")
        if running.depth >= MOST_DEPTH:
            raise ActionFailed(f"{type_} is called through {MOST_DEPTH} others, which is the most.")
        if self._left <= 0:
            raise ActionFailed(f"{type_} cannot be called: one action may call {MOST_CALLS} others.")
        self._left -= 1
        entry = self._catalogue.get(type_)
        if entry is None or entry.spec.plugin != plugin:
            own = [name for name, one in self._catalogue.items() if one.spec.plugin == plugin]
            if not own:
                others = {one.spec.plugin for one in self._catalogue.values()}
                raise ActionFailed(
                    f"There is no plugin {plugin} that has actions.", cure=suggestion(str(plugin), others)
                )
            near = get_close_matches(type_, own, n=1) if isinstance(type_, str) else []
            cure = f"Did you mean {near[0]}?" if near else f"Its actions: {', '.join(sorted(own))}."
            raise ActionFailed(f"The plugin {plugin} has no action {type_}.", cure=cure)
        spec = entry.spec
        if _REACH.index(spec.effect) > _REACH.index(running.spec.effect):
            raise ActionFailed(
                f"{running.spec.type} has the effect {running.spec.effect.value}, and {type_} the effect "
                f"{spec.effect.value}.",
                cure=f'Declare {running.spec.type} with effect="{spec.effect.value}".',
            )
        return entry

    async def _validated(
        self, running: RunningAction, spec: ActionSpec, type_: str, payload: JsonObject
    ) -> ActionEnvelope:
        try:
            size = len(compact(payload)) if isinstance(payload, dict) else -1
        except (TypeError, ValueError, RecursionError):
            size = -1
        if not 0 <= size <= LARGEST_PAYLOAD:
            raise ActionFailed(f"{type_}: the payload is no JSON object of at most {LARGEST_PAYLOAD} characters.")
        asked = ParsedReply(actions=(ActionEnvelope(type=type_, payload=copy.deepcopy(payload)),))
        checked = validate_actions(asked, self._catalogue)
        checked = await check_actions(checked, self._catalogue, check_call(self._env, running.turn_context()))
        valid = checked.actions[0]
        if valid is None or not checked.valid:
            raise ActionFailed(" ".join(error.message for error in checked.errors))
        return valid

    def _gate(self, spec: ActionSpec, envelope: ActionEnvelope, running: RunningAction) -> Decision:
        turn = self._turn
        if not spec.model and turn.input.kind is not InputKind.COMMAND:
            return Decision(verdict=Verdict.DENY, reason=f"{spec.type} can only be typed, as /{spec.command}.")
        if self._only is not None and spec.type not in self._only:
            return Decision(verdict=Verdict.DENY, reason=f"{spec.type} is not to be used in this step.")
        # A handler that reads the outside may pass on what it has read.
        tainted = running.tainted or running.spec.reads_outside
        decision = authorize(turn.question(spec, envelope.payload, tainted=tainted), self._env.rules)
        granted = any(grant.covers(spec, envelope, decision.reason) for grant in turn.grants)
        if decision.verdict is Verdict.ASK and granted:
            return Decision(verdict=Verdict.ALLOW, reason=f"Approved. {decision.reason}", rule=decision.rule)
        return decision

    async def _performed(
        self, running: RunningAction, position: int, entry: Entry, envelope: ActionEnvelope
    ) -> RecordedAction:
        turn, env, spec = self._turn, self._env, entry.spec
        blocked = await guard_action(env, running.turn_context(), spec, envelope)
        if isinstance(blocked, Block):
            outcome = Outcome(status=OutcomeStatus.DENIED, reason=blocked.reason)
            return await self._noted(running, position, envelope, spec, outcome)
        rehearsal = env.rehearsal
        if rehearsal is not None and (instead := rehearsal.in_place_of(spec, envelope)):
            return await self._noted(running, position, envelope, spec, instead)
        inner = RunningAction(turn, env, position, spec, running.tainted, call=self.call, depth=running.depth + 1)
        started_at_ms = env.clock.now_ms()
        row_id = 0
        if spec.effect is Effect.EXTERNAL:
            row_id = await record_intent(turn, env, position, envelope, started_at_ms)
            env.reached("action started")
        tell_action_started(env, turn, position, spec, envelope)
        try:
            outcome = await run_handler(env, entry, envelope, inner)
        except asyncio.CancelledError:
            if row_id:
                outcome = inner.seen_as(unknown(STOPPED))
                _tell_unknown(running, envelope, outcome)
                stopped = self._pending(position, envelope, outcome, spec)
                stopped.action = replace(stopped.action, ledger_id=row_id)
                await asyncio.shield(write_end(turn, env, stopped))
            raise
        env.reached("action done")
        pending = self._pending(position, envelope, outcome, spec, started_at_ms)
        pending.action = replace(pending.action, ledger_id=row_id)
        pending.ran = True
        said = []
        pending.calls = inner.called
        if outcome.status is OutcomeStatus.DONE:
            said = await take_over(turn, env, pending, inner, spec)
        elif spec.effect is not Effect.EXTERNAL:
            pending.drop_writes()
            for call in pending.with_calls():
                if call.ran and call.action.outcome.status is OutcomeStatus.FAILED:
                    self._done.pop(call.action.envelope.hash, None)
        await self._keep(running, pending)
        if pending.action.outcome.status is OutcomeStatus.DONE:
            running.said += said
        return await shown(turn, env, pending.action, running.tainted)

    async def _keep(self, running: RunningAction, pending: PendingAction) -> None:
        """Write an action that was called: at once where its caller cannot be undone, else together with that."""
        at_once = running.spec.effect is Effect.EXTERNAL and pending.effect != Effect.READ.value
        if not at_once:
            running.called.append(pending)
            return
        writing = asyncio.ensure_future(write_end(self._turn, self._env, pending))
        try:
            await asyncio.shield(writing)
        except WriteFailed as failure:
            status, reason = OutcomeStatus.FAILED, failure.reason
            if pending.effect == Effect.EXTERNAL.value:
                status, reason = OutcomeStatus.DONE, f"It was done, but what it wrote is lost: {reason}"
            pending.drop_writes()
            pending.action = replace(pending.action, outcome=Outcome(status=status, reason=reason))
            await write_end(self._turn, self._env, pending)

    async def _noted(
        self, running: RunningAction, position: int, envelope: ActionEnvelope, spec: ActionSpec, outcome: Outcome
    ) -> RecordedAction:
        pending = self._pending(position, envelope, outcome, spec)
        running.called.append(pending)
        return await shown(self._turn, self._env, pending.action, running.tainted)

    def _pending(
        self,
        position: int,
        envelope: ActionEnvelope,
        outcome: Outcome,
        spec: ActionSpec,
        started_at_ms: int | None = None,
    ) -> PendingAction:
        return PendingAction(
            position=position,
            action=RecordedAction(envelope=envelope, outcome=outcome),
            effect=spec.effect.value,
            started_at_ms=self._env.clock.now_ms() if started_at_ms is None else started_at_ms,
        )


def _tell_unknown(running: RunningAction, envelope: ActionEnvelope, outcome: Outcome) -> None:
    running.unknown = f"{ledger.called_unseen([envelope.type])}: {outcome.reason}"


def _result(running: RunningAction, action: RecordedAction) -> Json:
    """Return what the caller gets: the output as the hooks let it be seen. Raises ActionFailed."""
    outcome, seen = action.outcome, action.seen
    if outcome.tainted or seen.tainted:
        running.see_foreign()
    if outcome.status is OutcomeStatus.UNKNOWN:
        _tell_unknown(running, action.envelope, outcome)
    if outcome.status is OutcomeStatus.DONE and seen.status is OutcomeStatus.DONE:
        return copy.deepcopy(seen.output)
    raise ActionFailed(f"{action.envelope.type}: {seen.reason or outcome.reason}")
