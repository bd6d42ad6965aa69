"""Collecting what a prompt is built from: session, history, plugin context and the actions that may be seen."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any

from core.contracts.actions import MESSAGE_ACTION, ActionSpec, Untrusted
from core.contracts.hooks import TurnContext
from core.contracts.inputs import InputKind, Origin
from core.contracts.json import compact
from core.contracts.policy import Question
from core.contracts.prompts import Budget, CatalogueBudget, CatalogueTexts, Line, Note, PromptParts
from core.contracts.strategies import StepPlan
from core.services import history, notes
from core.turn.catalogue_text import describe
from core.turn.environment import Generation, TurnEnvironment
from core.turn.resolve_mentions import resolve_mentions
from core.turn.share_catalogue import DESCRIBE_ACTION
from core.turn.stages.authorize import visible
from core.turn.stages.build_prompt import INSTRUCTIONS
from core.turn.state import Turn

MOST_CACHED_TEXTS = 16
TAKES_NOTES = (InputKind.MESSAGE, InputKind.BUTTON)


class CatalogueTextCache:
    """Keeps the texts of the sets of actions that were shown last; making them costs more than a turn."""

    def __init__(self) -> None:
        self._texts: OrderedDict[tuple[int, tuple[str, ...], tuple[str, ...]], CatalogueTexts] = OrderedDict()

    def texts(
        self, generation: Generation, specs: list[ActionSpec], budget: CatalogueBudget, described: Collection[str]
    ) -> CatalogueTexts:
        """Return the texts of `specs`; see `describe`."""
        key = (generation.number, tuple(spec.type for spec in specs), tuple(sorted(described)))
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = describe(specs, budget, described)
            if len(self._texts) > MOST_CACHED_TEXTS:
                self._texts.popitem(last=False)
        else:
            self._texts.move_to_end(key)
        return found


async def gather(
    turn: Turn, env: TurnEnvironment, generation: Generation, cache: CatalogueTextCache, plan: StepPlan | None = None
) -> PromptParts:
    """Return the parts of the prompt of a turn's next step. plan: what its strategy says of that."""
    context = turn.context(tainted=turn.input.tainted)
    specs = await offered(context, env, generation)
    if plan is not None and plan.actions is not None:
        specs = [spec for spec in specs if spec.type in plan.actions or spec.type == MESSAGE_ACTION]
    turn.offered = frozenset(spec.type for spec in specs)
    instructions = await env.hooks.chain("extend_system_prompt", context, INSTRUCTIONS)
    reader = str(turn.input.principal)
    takes_notes = turn.input.origin is Origin.USER and turn.input.kind in TAKES_NOTES
    address, now_ms = str(turn.input.address), env.clock.now_ms()

    def look(conn: Any) -> tuple[list[Line], list[Note]]:
        # A turn that was interrupted has rows of its own in the history already; its steps tell them.
        said = history.window(conn, turn.session, reader=reader, but_turn=turn.id)
        return said, notes.for_turn(conn, address, turn.id, now_ms) if takes_notes else []

    (lines, carried), facts, mentioned = await asyncio.gather(
        env.database.read(look), env.hooks.collect("gather_context", context), _mentioned(turn, context, env)
    )
    return PromptParts(
        instructions=instructions if isinstance(instructions, str) else INSTRUCTIONS,
        catalogue=cache.texts(generation, specs, env.catalogue, _described(turn)),
        budget=budget_bytes(env, _model(turn, env)),
        input=turn.input,
        summary=turn.session.summary,
        summary_tainted=turn.session.summary_tainted,
        history=lines,
        context={**{plugin: _text(fact) for plugin, fact in facts.items() if fact is not None}, **mentioned},
        notes=carried,
        steps=turn.steps,
        instruction="" if plan is None else plan.instruction,
        model=turn.session.model,
    )


async def _mentioned(turn: Turn, context: TurnContext, env: TurnEnvironment) -> Mapping[str, str | Untrusted]:
    """Return what the mentions of a turn stand for: asked once, so that its steps all see the same."""
    if turn.mentioned is None:
        words = turn.input.text if turn.received is None else turn.received
        turn.mentioned = await resolve_mentions(context, words, env)
    return turn.mentioned


def budget_bytes(env: TurnEnvironment, model: str) -> Budget:
    """Return the budget in bytes, from the one in tokens and what is known of the model's tokens."""
    tokens = env.budget_tokens
    return Budget(
        history=env.tokens.to_bytes(model, tokens.history),
        summary=env.tokens.to_bytes(model, tokens.summary),
        context=env.tokens.to_bytes(model, tokens.context),
        context_per_plugin=tokens.context_per_plugin,
    )


def _model(turn: Turn, env: TurnEnvironment) -> str:
    chain = env.engines.chain(turn.session.engine)
    return turn.session.model or (chain[0].engine.model if chain else "")


async def offered(context: TurnContext, env: TurnEnvironment, generation: Generation) -> list[ActionSpec]:
    """Return the actions that the model of a turn may know of, in the order in which they were loaded."""

    def seen(spec: ActionSpec) -> bool:
        question = Question(
            spec=spec,
            payload=None,
            principal=context.principal,
            role=context.role,
            address=context.address,
            origin=context.origin,
        )
        return visible(question, env.rules)

    specs = [entry.spec for entry in generation.values() if entry.spec.model and seen(entry.spec)]
    if env.hooks.has("filter_actions"):
        specs = list(await env.hooks.narrow("filter_actions", context, specs))
    return specs


def _described(turn: Turn) -> set[str]:
    """Return the actions that the model has asked about in this turn."""
    outputs = [
        action.outcome.output
        for step in turn.steps
        for action in step.actions
        if action.envelope.type == DESCRIBE_ACTION
    ]
    return {type_ for output in outputs if isinstance(output, dict) for type_ in output}


def _text(fact: object) -> str | Untrusted:
    return fact if isinstance(fact, str | Untrusted) else compact(fact)
