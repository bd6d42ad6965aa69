"""Calls of programs: which action one asks for, what there is to call, and how a caller hears of the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select

from core.contracts.actions import MESSAGE_ACTION, ActionEnvelope, ActionSpec
from core.contracts.inputs import Address, Input, Principal, Role
from core.contracts.json import Json
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.policy import Question
from core.interface_base import InterfaceBase
from core.services import ledger
from core.storage.tables import inbox, outbox, turns
from core.turn.environment import TurnEnvironment
from core.turn.stages.authorize import visible
from core.turn.stages.read_command import CommandError
from core.turn.state import Turn

ELSEWHERE_MS = 5000
"""How long after its end a call counts as one that another process ran."""

NO_ACTION = CommandError("This is no call of an action.")
NOT_TAKEN = "It was not taken in."
RAN_ELSEWHERE = "Another process has run it; `rekku ledger show {id}` tells what it returned."


def called_action(input: Input) -> ActionEnvelope | CommandError:
    """Return the action that a call asks for, still to be validated."""
    type_, payload = input.data.get("type"), input.data.get("payload")
    if not isinstance(type_, str) or not isinstance(payload, dict):
        return NO_ACTION
    return ActionEnvelope(type=type_, payload=payload)


async def call_outcome(turn: Turn, env: TurnEnvironment) -> Outcome:
    """Return what the caller is told of a call that has ended: its outcome, with what was said to it besides."""
    actions = [action for step in turn.steps[-1:] for action in step.actions]
    if not actions:
        return Outcome(status=OutcomeStatus.FAILED, reason=turn.failure or NOT_TAKEN)
    seen = actions[0].seen
    rows = [row_id for row_id, address in turn.sent if address == str(turn.input.address)]
    if not rows or seen.status is not OutcomeStatus.DONE:
        return seen
    statement = select(outbox.c.text).where(outbox.c.id.in_(rows)).order_by(outbox.c.id)
    said = await env.database.read(lambda conn: list(conn.execute(statement).scalars()))
    output: Json = said if seen.output is None else [seen.output, *said]
    return replace(seen, output=output[0] if isinstance(output, list) and len(output) == 1 else output)


def tell_calls(interface: InterfaceBase, env: TurnEnvironment) -> None:
    """Give an interface that has the attribute `calls` what there is to call."""
    if hasattr(interface, "calls"):
        interface.calls = Calls(env)


class Calls:
    """The `ActionCalls` of one app."""

    def __init__(self, env: TurnEnvironment) -> None:
        self._env = env

    def welcome(self, principal: Principal) -> bool:
        """Return whether a principal may use this assistant at all."""
        return self._env.people.role(principal) is not Role.BLOCKED

    def offered(self, principal: Principal, address: Address) -> list[ActionSpec]:
        """Return what a principal may call there now, by type."""
        role = self._env.people.role(principal)

        def may(spec: ActionSpec) -> bool:
            question = Question(spec=spec, payload=None, principal=principal, role=role, address=address)
            return visible(question, self._env.rules)

        found = (entry.spec for _, entry in sorted(self._env.generation().for_model.items()))
        return [spec for spec in found if spec.type != MESSAGE_ACTION and may(spec)]

    async def ended(self, input_id: int) -> Outcome | None:
        """Return how a call ended according to the database, None while it has not."""
        before_ms = self._env.clock.now_ms() - ELSEWHERE_MS
        return await self._env.database.read(lambda conn: _ended(conn, input_id, before_ms))


def _ended(conn: Any, input_id: int, before_ms: int) -> Outcome | None:
    columns = (turns.c.id, turns.c.state, turns.c.reason, turns.c.ended_at_ms)
    turn = conn.execute(select(*columns).where(turns.c.input_id == input_id)).first()
    if turn is None:
        state = conn.execute(select(inbox.c.state).where(inbox.c.id == input_id)).scalar()
        return Outcome(status=OutcomeStatus.DENIED, reason=NOT_TAKEN) if state in ("done", None) else None
    if turn.state == "running" or turn.ended_at_ms > before_ms:
        return None
    actions = [action for step in ledger.load_turn(conn, turn.id).steps[-1:] for action in step.actions]
    if not actions:
        return Outcome(status=OutcomeStatus.FAILED, reason=turn.reason or NOT_TAKEN)
    outcome = actions[0].outcome
    return replace(outcome, output=None if outcome.output is None else RAN_ELSEWHERE.format(id=actions[0].ledger_id))
