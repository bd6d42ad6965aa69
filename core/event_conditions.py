"""Conditions of event handlers: whether an event concerns a handler, said in code or in rekku.toml."""

from __future__ import annotations

import re
from difflib import get_close_matches

from core.bounded_search import is_found
from core.contracts.events import Event
from core.contracts.json import Json

_WORDS = re.compile(r"\w+")
_KINDS = ("always", "wake_word", "regex")


class Condition:
    """A condition that is known by its words; `str(condition)` is how rekku.toml says it."""

    def __init__(self, said: str) -> None:
        self._said = said

    def __str__(self) -> str:
        return self._said

    def __repr__(self) -> str:
        return f"<condition {self._said}>"

    def __call__(self, event: Event) -> bool:
        """Whether it holds for an event."""
        return True


class _WakeWord(Condition):
    def __init__(self, phrases: tuple[str, ...], field: str) -> None:
        super().__init__(f"wake_word: {', '.join(phrases)}")
        self.field = field
        self.phrases = phrases
        self._wanted = [_words(phrase) for phrase in phrases]

    def __call__(self, event: Event) -> bool:
        said = _words(_text(event, self.field))
        return any(phrase in said for phrase in self._wanted)


class _Regex(Condition):
    def __init__(self, pattern: re.Pattern[str], field: str) -> None:
        super().__init__(f"regex: {pattern.pattern}")
        self._field = field
        self._pattern = pattern

    def __call__(self, event: Event) -> bool:
        return is_found(self._pattern, _text(event, self._field))


always = Condition("always")
"""Holds for every event."""


def wake_word(*phrases: str, field: str = "text") -> Condition:
    """Hold where one of the phrases is said: as whole words in a row, whatever their case and the marks between.

    field: of the event's data, dotted for one inside another. Raises ValueError where a phrase has no word.
    """
    if not phrases or not all(isinstance(phrase, str) and _WORDS.search(phrase) for phrase in phrases):
        raise ValueError('wake_word needs the words that wake, as wake_word("hey rekku")')
    return _WakeWord(phrases, field)


def regex(pattern: str, *, field: str = "text") -> Condition:
    """Hold where the regular expression is found in a text of the event's data; `(?i)` at its start ignores case.

    field: dotted for one inside another. Raises ValueError for what is no regular expression.
    """
    try:
        return _Regex(re.compile(pattern), field)
    except (re.error, TypeError) as error:
        raise ValueError(f"{pattern!r:.150} is no regular expression ({error})") from error


def condition_of(text: object) -> Condition:
    """Read a condition as rekku.toml says it: "always", "wake_word: hey rekku, ok rekku", "regex: ^lights".

    Raises ValueError.
    """
    if not isinstance(text, str):
        raise ValueError('must be a text, as "wake_word: hey rekku"')
    kind, _, rest = (part.strip() for part in text.partition(":"))
    if kind == "always" and not rest:
        return always
    if kind == "wake_word":
        return wake_word(*(phrase for phrase in (part.strip() for part in rest.split(",")) if phrase))
    if kind == "regex" and rest:
        return regex(rest)
    close = get_close_matches(kind, _KINDS, n=1)
    hint = (
        f"did you mean {close[0]}?" if close and close[0] != kind else 'write "always", "wake_word: …" or "regex: …"'
    )
    raise ValueError(f"{text!r:.80} is no condition; {hint}")


def is_quick(condition: object) -> bool:
    """Whether a condition is one of ours that takes no time and cannot fail, whatever it is asked of."""
    return type(condition) in (Condition, _WakeWord)


def runs_in_loop(condition: object) -> bool:
    """Whether a condition is one of ours that takes little time, and is to be asked in the event loop itself."""
    return type(condition) is _Regex


def condition_as_data(condition: object) -> Json:
    """Return a condition as JSON for `condition_from_data`, and None for one whose code has to be asked.

    That is any function, and a regular expression, which may take for ever over a text.
    """
    if isinstance(condition, _WakeWord):
        return {"wake_word": list(condition.phrases), "field": condition.field}
    return {} if condition is always else None


def condition_from_data(data: Json) -> Condition:
    """Return the condition; raises ValueError for anything else."""
    match data:
        case {"wake_word": [*phrases], "field": str() as field}:
            return wake_word(*phrases, field=field)
        case dict() if not data:
            return always
    raise ValueError(f"{data!r:.80} is no condition")


def _words(text: str) -> str:
    """Return the words of a text in lower case with a blank around each, so that only whole ones are found."""
    return f" {' '.join(_WORDS.findall(text.casefold()))} "


def _text(event: Event, field: str) -> str:
    value: object = event.data
    for key in field.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
