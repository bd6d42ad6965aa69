"""What is told of an input and of a turn, as events; nothing here waits, and nothing here fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from core.contracts.actions import ActionEnvelope, ActionSpec
from core.contracts.engine import EngineReply
from core.contracts.inputs import Accepted, Input, Role
from core.contracts.json import JsonObject
from core.contracts.outcomes import OutcomeStatus
from core.turn.environment import TurnEnvironment
from core.turn.state import PendingAction, Turn


def tell_received(env: TurnEnvironment, input: Input, accepted: Accepted, role: Role, *, pressed: bool) -> None:
    """Tell of an input that is stored and was not there before. pressed: it came of a button."""
    if accepted.duplicate:
        return
    about: JsonObject = {
        "input_id": accepted.input_id,
        "principal": str(input.principal),
        "address": str(input.address),
    }
    correlation = f"input-{accepted.input_id}"
    env.events.post(
        "input.received",
        {
            **about,
            "kind": input.kind.value,
            "role": role.value,
            "text": input.text,
            "addressed": input.addressed,
            "edit": bool(input.data.get("edit_of")),
            "attachments": len(input.attachments),
        },
        correlation=correlation,
    )
    if pressed:
        command = str(input.data.get("command", ""))
        env.events.post("button.single_press", {**about, "command": command}, correlation=correlation)


def tell_started(env: TurnEnvironment, turn: Turn) -> None:
    """Tell that a turn begins; it is the cause of all that its task emits from now on."""
    input = turn.input
    env.events.begin(
        "turn.started",
        {
            **_of(turn),
            "role": turn.role.value,
            "input_id": turn.lease.input_id,
            "kind": input.kind.value,
            "origin": input.origin.value,
            "text": input.text,
            "resumed": turn.resumed,
        },
        correlation=f"turn-{turn.id}",
        after=f"input-{turn.lease.input_id}",
    )


def tell_completed(env: TurnEnvironment, turn: Turn, state: str) -> None:
    """Tell how a turn has ended. state: as it is recorded, awaiting_approval among them."""
    waits = state == "awaiting_approval"
    env.events.post(
        "turn.completed",
        {
            **_of(turn),
            "input_id": turn.lease.input_id,
            "status": "complete" if waits else state,
            "awaiting_approval": waits,
            "steps": len(turn.steps),
            "took_ms": max(env.clock.now_ms() - turn.received_at_ms, 0),
        },
        correlation=f"turn-{turn.id}",
    )


def tell_session(env: TurnEnvironment, turn: Turn) -> None:
    """Tell which session, engine, model and persona a turn uses, unless that was told already."""
    view = turn.session.view
    if turn.told_session == view:
        return
    turn.told_session = view
    chosen = {"session_id": view.id, "engine": view.engine, "model": view.model, "persona": view.persona}
    env.events.post("session.resolved", {**_of(turn), **chosen})


def tell_requested(env: TurnEnvironment, turn: Turn, attempt: int, engine: str, model: str, messages: int) -> None:
    """Tell that an engine is asked. attempt: of this step, from 0; engine: the first that is asked."""
    about = {**_of(turn), "step": turn.number, "attempt": attempt, "engine": engine, "model": model}
    env.events.post("llm.requested", {**about, "messages": messages})


def tell_replied(
    env: TurnEnvironment, turn: Turn, attempt: int, engine: str, reply: EngineReply | None, error: str = ""
) -> None:
    """Tell what an engine replied, or why none did."""
    usage = None if reply is None else dataclasses.asdict(reply.usage)
    env.events.post(
        "llm.replied",
        {
            **_of(turn),
            "step": turn.number,
            "attempt": attempt,
            "engine": engine,
            "text": "" if reply is None else reply.text,
            "finish_reason": "" if reply is None else reply.finish_reason,
            "usage": usage,
            "error": error,
        },
    )


def tell_action_started(
    env: TurnEnvironment, turn: Turn, position: int, spec: ActionSpec, envelope: ActionEnvelope
) -> None:
    """Tell that the handler of an action is about to be called."""
    about = _of_action(turn, position, spec.plugin, envelope)
    env.events.post("action.started", {**about, "effect": spec.effect.value, "payload": envelope.payload})


def tell_written(env: TurnEnvironment, turn: Turn, pendings: Sequence[PendingAction]) -> None:
    """Tell the outcomes that a transaction of the open step has written down."""
    for pending in (one for whole in pendings for one in whole.with_calls()):
        envelope, outcome = pending.action.envelope, pending.action.outcome
        entry = env.generation().get(envelope.type)
        about = _of_action(turn, pending.position, "" if entry is None else entry.spec.plugin, envelope)
        ended = {"status": outcome.status.value, "reason": outcome.reason, "tainted": outcome.tainted}
        env.events.post("action.completed", {**about, **ended})
        if pending.ran and outcome.status is OutcomeStatus.DONE:
            done = {"payload": envelope.payload, "output": outcome.output, "tainted": outcome.tainted}
            env.events.post("plugin.action", {**about, **done})


def _of(turn: Turn) -> JsonObject:
    return {"turn_id": turn.id, "principal": str(turn.input.principal), "address": str(turn.input.address)}


def _of_action(turn: Turn, position: int, plugin: str, envelope: ActionEnvelope) -> JsonObject:
    action_id = f"{turn.id}.{turn.number}.{position}"
    return {**_of(turn), "action_id": action_id, "plugin": plugin, "action": envelope.type}
