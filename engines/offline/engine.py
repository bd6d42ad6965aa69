"""The offline engine: reads the principal's words with a grammar and answers with the JSON that a model would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from core.contracts.actions import MESSAGE_ACTION, ActionSpec
from core.contracts.engine import EngineCapabilities, EngineReply, EngineRequest, PromptMessage, Source
from core.contracts.json import JsonObject, compact
from core.engine_base import EngineBase
from engines.offline import wording
from engines.offline.arithmetic import CannotCalculate, calculate, read_sum
from engines.offline.phrases import Grammar, GrammarCache
from engines.offline.telling import tell_outcomes
from engines.offline.typed import find_type, read_typed, write_typed
from engines.offline.words import Word, split_words, without_courtesies

MODEL = "offline-grammar"
MAX_PHRASE_CHARS = 2000
"""The longest text that is matched against phrases."""

NOTHING_ASKED = "There is nothing here that I could read: no language model is connected."
CORRECTED = "I cannot do that: the action that I made of it was refused as not valid."


class Offline(EngineBase):
    """Answers without a model: the phrases of the catalogue, written-out actions, sums, and what it is.

    It reads only the last thing that the principal said, never history, context or foreign text, and the same
    request always gets the same answer.
    """

    auto_rank: ClassVar[int | None] = 100

    def __init__(self) -> None:
        self._grammars = GrammarCache()

    @property
    def capabilities(self) -> EngineCapabilities:
        """Nothing needs enforcing: what it writes is valid JSON."""
        return EngineCapabilities(json_schema=False, language_model=False)

    @property
    def model(self) -> str:
        """The grammar's name."""
        return MODEL

    async def models(self) -> list[str]:
        """Return the one grammar."""
        return [MODEL]

    async def complete(self, request: EngineRequest) -> EngineReply:
        """Return exactly one action, as JSON text; never raises EngineError."""
        action = answer(request.messages, self._grammars.get(request.actions))
        return EngineReply(text=compact({"actions": [action]}), model=MODEL)


def answer(messages: Sequence[PromptMessage], grammar: Grammar) -> JsonObject:
    """Return the one action with which the messages are answered."""
    asked_at = max((i for i, m in enumerate(messages) if m.source is Source.PRINCIPAL), default=-1)
    text = messages[asked_at].content if asked_at >= 0 else ""
    if messages and messages[-1].source is Source.CORRECTION:
        return say(_refusal(text, grammar))
    outcomes = [m for m in messages[asked_at + 1 :] if m.source is Source.OUTCOMES]
    if outcomes:
        return say(tell_outcomes(outcomes[-1].content))
    return read(text, grammar) if text.strip() else say(NOTHING_ASKED)


def read(text: str, grammar: Grammar) -> JsonObject:
    """Return what a principal's words ask for: an action, or a message that answers them."""
    text = text.strip()
    typed = read_typed(text, grammar.actions)
    if typed is not None:
        if typed.mistake:
            return say(wording.mistake(typed.spec, typed.mistake))
        return _action(typed.spec, typed.payload)
    if len(text) > MAX_PHRASE_CHARS:
        return say(wording.too_long(len(text), MAX_PHRASE_CHARS))
    words = split_words(text)
    request = without_courtesies(words)
    for total in (text, _slice(text, request)):
        asked = read_sum(total)
        if asked is not None:
            return say(_reckon(*asked))
    for attempt in (request, words):
        matches = grammar.match(text, attempt)
        if len(matches) > 1:
            return say(wording.alternatives(matches))
        if matches:
            return _action(matches[0].phrase.spec, matches[0].payload)
    talk = wording.small_talk(_plain(words), grammar) or wording.small_talk(_plain(request), grammar)
    if talk:
        return say(talk)
    named = find_type(text, grammar.actions)
    if named is not None:
        return say(wording.mistake(named, "what follows is neither a phrase nor `field=value`."))
    return say(wording.not_understood(_plain(request), grammar))


def say(text: str) -> JsonObject:
    """Return the action that says `text` in the current chat."""
    return {"type": MESSAGE_ACTION, "payload": {"text": text}}


def _action(spec: ActionSpec, payload: JsonObject) -> JsonObject:
    return {"type": spec.type, "payload": payload}


def _refusal(text: str, grammar: Grammar) -> str:
    """Say what the refused action was; the same words give the same action again."""
    action = read(text, grammar) if text.strip() else say("")
    spec = next((spec for spec in grammar.actions if spec.type == action["type"]), None)
    if spec is None or (spec.type == MESSAGE_ACTION and "to" not in action["payload"]):
        return CORRECTED
    return wording.refused(write_typed(spec.type, action["payload"]), spec)


def _reckon(written: str, expression: str) -> str:
    try:
        result = calculate(expression)
    except CannotCalculate as error:
        return f"`{written}`: {error}"
    # A "*" would be emphasis in CommonMark.
    shown = f"`{written}`" if "*" in written else written
    return f"{shown} {result}" if result.startswith("≈") else f"{shown} = {result}"


def _slice(text: str, words: list[Word]) -> str:
    return text[words[0].start : words[-1].end] if words else ""


def _plain(words: list[Word]) -> str:
    return " ".join(word.text for word in words if not word.may_be_skipped)
