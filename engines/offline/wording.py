"""What the offline engine says of itself and of the catalogue."""

from __future__ import annotations

import difflib

from core.contracts.actions import ActionSpec
from engines.offline.phrases import Grammar, Match
from engines.offline.typed import usage, write_typed

MAX_LISTED_ACTIONS = 60
MAX_PHRASES_SHOWN = 2
MAX_COMPARED_CHARS = 80
LEAST_LIKENESS = 0.65

HOW_TO_CONNECT = (
    "To talk freely, connect a language model: set `OPENAI_API_KEY`; or `OPENAI_BASE_URL` and `OPENAI_MODEL` for "
    "Ollama, vLLM, llama.cpp, OpenRouter or any other OpenAI-compatible server. `/engine` switches while running."
)
WHO = (
    "I am Rekku, answering with the offline engine: a small grammar that knows the phrases of the installed plugins "
    "and can do sums. I am no language model, and none is connected. Say `help` for what I understand.\n\n"
    f"{HOW_TO_CONNECT}"
)
GREETING = "Hello. No language model is connected, so I understand set phrases only. Say `help` for a list of them."
THANKS = "You are welcome."
FAREWELL = "Goodbye."

_SMALL_TALK = {
    GREETING: (
        "hello, hi, hey, hello there, hi there, good morning, good afternoon, good evening, ciao, how are you, "
        "rekku, hey rekku, hi rekku, hello rekku"
    ),
    THANKS: "thanks, thank you, thank you very much, thanks lot, many thanks, thanks rekku, thank you rekku, grazie",
    FAREWELL: "bye, goodbye, bye bye, good night, see you",
    WHO: "who are you, what are you, are you bot, are you human, are you language model, which model are you, "
    "what model are you, what is your name, introduce yourself",
}
_SAID = {phrase: answer for answer, phrases in _SMALL_TALK.items() for phrase in phrases.split(", ")}
_HELP = frozenset(
    {"help", "help me", "what can you do", "what do you do", "what can i say", "commands", "what do you know"}
)


def small_talk(plain_text: str, grammar: Grammar) -> str:
    """Return the answer to a greeting, a thanks, "help" or "who are you"; "" for anything else.

    plain_text: lower case, without articles and marks.
    """
    return help_text(grammar) if plain_text in _HELP else _SAID.get(plain_text, "")


def help_text(grammar: Grammar) -> str:
    """Return what the catalogue offers, with examples, and how to connect a model."""
    lines = [_offer(spec, grammar) for spec in grammar.actions[:MAX_LISTED_ACTIONS]]
    left_out = len(grammar.actions) - len(lines)
    if left_out > 0:
        lines.append(f"- and {left_out} more")
    offers = "\n".join(lines) or "- no action: none is installed, or none is allowed to you"
    return (
        "No language model is connected. I am the offline engine, a small grammar; I understand:\n\n"
        f"{offers}\n"
        "- sums, such as `15% of 80` or `3.5 * (2 - 1)^2`\n\n"
        'Any action can also be written out: its name, then `field=value` or `field="two words"`.\n\n'
        f"{HOW_TO_CONNECT}"
    )


def not_understood(plain_text: str, grammar: Grammar) -> str:
    """Return that no model is connected and, where one is close, the nearest phrase."""
    near = nearest_phrase(plain_text, grammar)
    hint = f" Did you mean `{near}`?" if near else ""
    return (
        f"I did not understand that: no language model is connected, and I know set phrases only.{hint} "
        f"Say `help` for a list of them.\n\n{HOW_TO_CONNECT}"
    )


def nearest_phrase(plain_text: str, grammar: Grammar) -> str:
    """Return the phrase, as it is shown, whose fixed words look most like the text's beginning; "" if none does."""
    text = plain_text[:MAX_COMPARED_CHARS]
    best, best_likeness = "", LEAST_LIKENESS
    for phrase in grammar.phrases:
        fixed = phrase.fixed_text
        for part in {text, text[: len(fixed)]}:
            matcher = difflib.SequenceMatcher(a=part, b=fixed, autojunk=False)
            if matcher.quick_ratio() > best_likeness and matcher.ratio() > best_likeness:
                best, best_likeness = phrase.shown, matcher.ratio()
    return best


def alternatives(matches: list[Match]) -> str:
    """Return the actions that a text could equally mean, each written out."""
    lines = [f"- `{write_typed(match.phrase.spec.type, match.payload)}`" for match in matches]
    return "That can mean more than one thing. Write out the one you want:\n\n" + "\n".join(lines)


def mistake(spec: ActionSpec, what: str) -> str:
    """Return why an action as written out cannot be read, and how it is written."""
    return f"I read that as `{spec.type}`, but {what} It is written:\n\n`{usage(spec)}`"


def refused(written: str, spec: ActionSpec) -> str:
    """Return that an action was not valid, and what it takes."""
    return (
        f"I read that as `{written}`, and I cannot do it like that: a value does not fit. It is written:\n\n"
        f"`{usage(spec)}`"
    )


def too_long(chars: int, limit: int) -> str:
    """Return that a text is longer than what the grammar reads."""
    return (
        f"That is {chars:,} characters long. No language model is connected, and my grammar reads phrases of up to "
        f"{limit:,}.\n\n{HOW_TO_CONNECT}"
    )


def _offer(spec: ActionSpec, grammar: Grammar) -> str:
    shown = [p.shown for text in spec.phrases for p in grammar.phrases if p.spec is spec and p.text == text]
    examples = " or ".join(f"`{phrase}`" for phrase in shown[:MAX_PHRASES_SHOWN]) or f"`{usage(spec)}`"
    sentence = spec.description.split(". ")[0].rstrip(".")
    return f"- {examples}: {sentence}"
