"""The whole path of one turn, from an opened input to its committed end."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from core.contracts.actions import MESSAGE_ACTION, ActionEnvelope
from core.contracts.hooks import Intercept
from core.contracts.inputs import Input, InputKind, Role
from core.contracts.json import storable
from core.contracts.prompts import Prompt
from core.contracts.steps import Next, ParsedReply, ReplyError, Step
from core.contracts.strategies import StepPlan
from core.services.history import LARGEST_WINDOW
from core.turn.act import Acting
from core.turn.call_check import check_call
from core.turn.commit import abort, commit, fail_action
from core.turn.compose_reminder import composed_text, is_composed, literal_text
from core.turn.converse import Conversation
from core.turn.decide import decide
from core.turn.end_call import called_action
from core.turn.environment import Entry, Generation, TurnEnvironment
from core.turn.follow_strategy import planned, write_plan
from core.turn.gather import CatalogueTextCache, gather
from core.turn.guard_action import told_of_unchecked
from core.turn.refuse import refusal, refuse
from core.turn.resolve_session import resolved_session
from core.turn.show_outcome import shown_again
from core.turn.stages.ask_engine import NotAnswered
from core.turn.stages.build_prompt import build_prompt
from core.turn.stages.check_actions import check_actions
from core.turn.stages.correct_reply import correction_request, merge_correction
from core.turn.stages.parse_reply import parse_reply
from core.turn.stages.read_command import CommandError, command_name, read_command
from core.turn.stages.run_actions import run_actions
from core.turn.stages.tell_outcome import tell_outcome
from core.turn.stages.validate_actions import validate_actions
from core.turn.state import StepResult, Turn
from core.turn.tell_absent import tell_absent
from core.turn.tell_events import tell_session
from core.turn.undo import UNDO_ACTION, undone_meanwhile, what_is_undone
from core.turn.write_pending import WriteFailed

LONG_REPLY = 64 * 1024
NO_ANSWER = "A plugin has answered this in my place, but its answer cannot be sent: {why}."
CUT_OFF = ParsedReply(
    errors=(ReplyError(index=None, message="The reply was cut off, it is too long. Send a shorter one, whole."),)
)
GAVE_UP = (
    "I could not turn the model's answer into actions that are valid, so nothing of it was done. "
    "Please ask again, perhaps in other words."
)
RESUMED_TOO_OFTEN = (
    "I was interrupted {times} times while I worked on your message, so I stopped. "
    "Nothing more of it is done by itself; `rekku ledger list` shows what was."
)


async def run_turn(turn: Turn, env: TurnEnvironment, cache: CatalogueTextCache) -> Next:
    """Take steps until nothing is left to do, each committed before the next; return how the turn ended."""
    if turn.resumed > env.limits.most_resumes:
        await abort(turn, env, "error", in_place_of(turn, RESUMED_TOO_OFTEN.format(times=turn.resumed)))
        return Next.LIMIT
    if (no := await refusal(turn, env)) is not None:
        if turn.input.kind is InputKind.DUE and turn.role is not Role.BLOCKED:
            await abort(turn, env, "error", in_place_of(turn, no.reason))
        else:
            await refuse(turn, env, no)
        return Next.LIMIT
    await shown_again(turn, env)
    while True:
        result = await take_step(turn, env, cache)
        if result.failure:
            result.failure = in_place_of(turn, result.failure)
        after = await decide_and_commit(turn, env, result)
        if after is not Next.STEP:
            return after


async def take_step(turn: Turn, env: TurnEnvironment, cache: CatalogueTextCache) -> StepResult:
    """Take one step: one reply of the model (corrections included), the actions in it and their outcomes."""
    generation = env.generation()
    if turn.approved is not None:
        tainted = any(step.tainted for step in turn.steps)
        refused = _unfit(turn.approved.envelope, generation) or await undone_meanwhile(turn, env)
        return await act(turn, env, generation, (turn.approved.envelope,), tainted, refused)
    if turn.input.kind is InputKind.COMMAND:
        return await take_command(turn, env, generation)
    if turn.input.kind is InputKind.CALL:
        return await take_asked(turn, env, generation, generation.for_model, called_action(turn.input))
    if is_composed(turn.input) and turn.number == 0:
        text, tainted = await composed_text(turn, env)
        return await act(turn, env, generation, (message(text),), tainted)
    if env.hooks.has("resolve_session"):
        turn.session = await resolved_session(turn, env)
    tell_session(env, turn)
    if env.hooks.has("transform_input") and not turn.transformed:
        turn.transformed = True
        changed = await env.hooks.chain("transform_input", turn.context(), turn.input)
        if isinstance(changed, Intercept) and turn.number == 0:
            return await intercepted(turn, env, generation, changed)
        if isinstance(changed, Input) and isinstance(changed.text, str):
            # Its words alone: who asks, and from where, is not for a hook to change.
            turn.received = turn.input.text
            turn.input = dataclasses.replace(turn.input, text=storable(changed.text))

    plan = await planned(turn, env)
    parts = await gather(turn, env, generation, cache, plan)
    prompt = build_prompt(parts)
    turn.notes = tuple(note.id for note in parts.notes)
    turn.history_is_long = prompt.history_left_out > 0 or len(parts.history) >= LARGEST_WINDOW
    if plan.plan_only:
        return await write_plan(turn, env, prompt)
    result = await answer(turn, env, generation, prompt, plan)
    if plan.last and not result.failure:
        result.ends, result.tell = True, told_at_the_end(result)
    return result


def told_at_the_end(result: StepResult) -> str:
    """Return what a turn's last step has brought that no model tells the user any more."""
    return "\n\n".join(filter(None, (tell_outcome(action.seen) for action in result.actions)))


def _unfit(envelope: ActionEnvelope, generation: Generation) -> Mapping[str, str]:
    """Return, by its hash, what is wrong with an action that was approved: its plugin may be another one by now."""
    entry = generation.get(envelope.type)
    complaints = [] if entry is None else entry.complaints(envelope.payload)
    return {envelope.hash: " ".join(complaints)} if complaints else {}


async def intercepted(turn: Turn, env: TurnEnvironment, generation: Generation, by: Intercept) -> StepResult:
    """Say what a hook answers in place of the model, which is not asked whatever becomes of that; "" says nothing."""
    tainted = turn.input.tainted
    if by.reply == "":
        return StepResult(tainted=tainted, ends=True)
    if not isinstance(by.reply, str):
        return StepResult(failure=NO_ANSWER.format(why="it is no text"), tainted=tainted)
    checked = validate_actions(ParsedReply(actions=(message(storable(by.reply)),)), generation)
    checked = await check_actions(checked, generation, check_call(env, turn.context()))
    if not checked.valid:
        why = " ".join(error.message for error in checked.errors)
        return StepResult(failure=NO_ANSWER.format(why=why.removesuffix(".")), tainted=tainted)
    result = await act(turn, env, generation, [action for action in checked.actions if action is not None], tainted)
    result.ends = True
    return result


async def answer(
    turn: Turn, env: TurnEnvironment, generation: Generation, prompt: Prompt, plan: StepPlan
) -> StepResult:
    """Ask the model until its reply is valid or the retries are used up, and run the actions of the reply."""
    deadline = env.clock.monotonic() + env.limits.engine_deadline_s
    turn.tainted = turn.tainted or prompt.tainted
    conversation = Conversation(turn, env, deadline, prompt.tainted)
    request = prompt.request
    checked: ParsedReply | None = None
    for _ in range(env.limits.corrector_retries + 1):
        reply = await conversation.next_reply(request)
        if isinstance(reply, NotAnswered):
            await conversation.recorded()
            return StepResult(failure=env.masker.text(reply.sentence), tainted=conversation.tainted)
        parsed = CUT_OFF if reply.finish_reason == "length" else await read_reply(reply.text)
        merged = parsed if checked is None else merge_correction(checked, parsed)
        checked = validate_actions(merged, generation.for_model)
        checked = await check_actions(checked, generation.for_model, check_call(env, turn.context()))
        if checked.valid:
            await conversation.recorded()
            actions = [action for action in checked.actions if action is not None]
            return await act(turn, env, generation, actions, conversation.tainted, only=plan.actions)
        if turn.entries and conversation.replayed and None not in merged.actions:
            return await go_on(turn, env, generation, merged, checked, conversation.tainted, plan)
        request = correction_request(prompt.request, reply.text, checked, lacked(merged, checked, prompt.untold))
    await conversation.recorded()
    return StepResult(failure=GAVE_UP, tainted=conversation.tainted)


def lacked(merged: ParsedReply, checked: ParsedReply, untold: Mapping[str, str]) -> list[str]:
    """Return what the model was not told of the actions that it got wrong."""
    wrong = [before for before, now in zip(merged.actions, checked.actions, strict=True) if now is None]
    types = dict.fromkeys(before.type for before in wrong if before is not None)
    return [untold[type_] for type_ in types if type_ in untold]


async def go_on(
    turn: Turn,
    env: TurnEnvironment,
    generation: Generation,
    merged: ParsedReply,
    checked: ParsedReply,
    tainted: bool,
    plan: StepPlan,
) -> StepResult:
    """Go on with a reply that was valid when it was begun and is not any more: a plugin, or the world, has changed.

    What was begun keeps its outcome; what has become invalid since is refused and the model told why.
    """
    actions = [now or before for now, before in zip(checked.actions, merged.actions, strict=True)]
    why = {error.index: error.message for error in checked.errors}
    refused = {
        before.hash: why.get(place, "")
        for place, (now, before) in enumerate(zip(checked.actions, merged.actions, strict=True))
        if now is None and before is not None
    }
    going_on = [a for a in actions if a is not None]
    return await act(turn, env, generation, going_on, tainted, refused, plan.actions)


async def take_command(turn: Turn, env: TurnEnvironment, generation: Generation) -> StepResult:
    """Take the one step of a typed command: no model is asked, its output goes to the user as it is."""
    read = read_command(turn.input.text, generation.commands)
    word = command_name(turn.input.text)
    if isinstance(read, CommandError) and word and word not in generation.commands:
        read = CommandError(await tell_absent(word, turn.role, env) or read.sentence)
    if isinstance(read, ActionEnvelope) and read.type == UNDO_ACTION:
        read = await what_is_undone(turn, env)
    return await take_asked(turn, env, generation, generation, read)


async def take_asked(
    turn: Turn,
    env: TurnEnvironment,
    generation: Generation,
    offered: Mapping[str, Entry],
    read: ActionEnvelope | CommandError,
) -> StepResult:
    """Take the one step of an action of those `offered` that was asked for as it is, by a command or a call."""
    tainted = turn.input.tainted if turn.input.kind is InputKind.CALL else False
    if isinstance(read, CommandError):
        return StepResult(failure=read.sentence, tainted=tainted)
    checked = validate_actions(ParsedReply(actions=(read,)), offered)
    checked = await check_actions(checked, offered, check_call(env, turn.context()))
    if not checked.valid:
        return StepResult(failure=" ".join(error.message for error in checked.errors), tainted=tainted)
    return await act(turn, env, generation, [action for action in checked.actions if action is not None], tainted)


async def read_reply(text: str) -> ParsedReply:
    """Parse a reply; a long one in a thread, so that it holds up nobody else."""
    if len(text) < LONG_REPLY:
        return parse_reply(text)
    return await asyncio.to_thread(parse_reply, text)


async def act(
    turn: Turn,
    env: TurnEnvironment,
    generation: Generation,
    actions: Sequence[ActionEnvelope],
    tainted: bool,
    refused: Mapping[str, str] = MappingProxyType({}),
    only: Collection[str] | None = None,
) -> StepResult:
    """Authorize and run actions in order; return the step, ready to be committed.

    refused: by hash, the actions that are not run, and why. only: the types that may run; None: all.
    """
    turn.tainted = turn.tainted or tainted
    acting = Acting(turn, env, generation, tainted, refused, only)
    recorded = await run_actions(actions, acting)
    actions_done = acting.corrected(recorded)
    return StepResult(
        actions=actions_done,
        tainted=tainted or any(action.outcome.tainted or action.seen.tainted for action in actions_done),
        pending=acting.pending,
        said=acting.said,
        failure="" if acting.held_up is None else told_of_unchecked(env, turn.role, acting.held_up),
        tell=tell_outcome(actions_done[0].seen) if turn.input.kind is InputKind.COMMAND else "",
    )


async def decide_and_commit(turn: Turn, env: TurnEnvironment, result: StepResult) -> Next:
    """Decide what comes after a step and commit both; an action whose own write fails changes the decision."""
    while True:
        step = Step(number=turn.number, actions=result.actions, tainted=result.tainted)
        after = (
            Next.END
            if result.failure
            else decide(
                step, max_steps=env.limits.max_steps, before=turn.steps[-1] if turn.approved is not None else None
            )
        )
        if (turn.input.kind.without_model or result.ends) and after is not Next.WAIT:
            after = Next.END  # its user has seen the outcome; there is no model to see it
        try:
            await commit(turn, env, result, after)
        except WriteFailed as failure:
            fail_action(result, failure)
        else:
            return after


def in_place_of(turn: Turn, failure: str) -> str:
    """Return what is said of a turn that came to nothing: for a reminder, its text as it was written first."""
    if turn.input.kind is not InputKind.DUE or turn.number:
        return failure
    return f"{literal_text(turn.input)}\n\n({failure})"


def message(text: str) -> ActionEnvelope:
    """Return the action that says `text` to the current chat."""
    return ActionEnvelope(type=MESSAGE_ACTION, payload={"text": text})
