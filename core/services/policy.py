"""`[[policy.rules]]`: from the operator's tables to rules that the gate can ask."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TypeAlias, TypeVar

from core.bounded_search import is_found
from core.contracts.errors import ConfigurationError
from core.contracts.inputs import Role
from core.contracts.json import Json, canonical
from core.contracts.policy import Question, Rule, Verdict

LONGEST_TEXT = 10_000
"""Characters of a payload's value that a pattern is tried on. On a longer one the rule raises: the gate denies."""

KEYS = ("verdict", "action", "arguments", "who", "where", "tainted", "name")

Condition: TypeAlias = Callable[[Question], bool]
Matcher: TypeAlias = Callable[[str], bool]
Choice = TypeVar("Choice", bound=StrEnum)


def read_rules(tables: Iterable[Mapping[str, Json]]) -> list[Rule]:
    """Read the rules, in their order, counted from 1; raises ConfigurationError that names every wrong one."""
    rules, wrong = read_each(tables)
    if wrong:
        mistakes = [f"{place}: {mistake}" for place, mistake in wrong.items()]
        text = mistakes[0] if len(mistakes) == 1 else "\n- ".join([f"{len(mistakes)} rules are wrong:", *mistakes])
        raise ConfigurationError(text, cure="docs/configuration.md says how a rule is written.")
    return list(rules.values())


def read_each(tables: Iterable[Mapping[str, Json]]) -> tuple[dict[str, Rule], dict[str, str]]:
    """Return the rules that can be read, and what is wrong with the others, by place ("policy.rules[1]")."""
    rules: dict[str, Rule] = {}
    wrong: dict[str, str] = {}
    for position, table in enumerate(tables, 1):
        place = f"policy.rules[{position}]"
        try:
            rules[place] = _read_rule(place, table)
        except ValueError as error:
            wrong[place] = str(error)
    return rules, wrong


def _read_rule(place: str, table: Mapping[str, Json]) -> Rule:
    for key in table:
        if key not in KEYS:
            raise ValueError(f"there is no key {key!r}. {_nearest(key, KEYS)}")
    if "verdict" not in table:
        raise ValueError('verdict is missing. Write verdict = "allow", "ask" or "deny".')
    verdict = _choice(Verdict, "verdict", table["verdict"])
    name = table.get("name", place)
    if not isinstance(name, str) or not name.strip():
        raise ValueError("name must be a text.")
    # Arguments come last: only a rule that is about this action and person may fail over a payload.
    conditions = [
        *_read_texts(table, "action", _action),
        *_read_texts(table, "who", _who),
        *_read_texts(table, "where", _where),
        *_read_taint(table, verdict),
    ]
    arguments = _read_arguments(table, verdict)
    if arguments:
        conditions.append(_arguments_match(arguments))
    return Rule(
        name=name,
        verdict=verdict,
        matches=lambda question: all(condition(question) for condition in conditions),
        any_payload=not arguments,
    )


def _read_texts(table: Mapping[str, Json], key: str, read: Callable[[str], Condition]) -> list[Condition]:
    """Return the condition that one of the texts under `key` holds, or none when the key is not there."""
    if key not in table:
        return []
    given = table[key]
    texts = given if isinstance(given, list) else [given]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"{key} must be a text or a list of texts.")
    one_of = [read(text) for text in texts]
    return [lambda question: any(condition(question) for condition in one_of)]


def _action(pattern: str) -> Condition:
    return lambda question: fnmatchcase(question.spec.type, pattern)


def _who(pattern: str) -> Condition:
    kind, _, rest = pattern.partition(":")
    if kind == "role":
        role = _choice(Role, "who: the role", rest)
        return lambda question: question.role is role
    _require_interface("who", pattern, "telegram:5, telegram:* or role:user")
    return lambda question: fnmatchcase(str(question.principal), pattern)


def _where(pattern: str) -> Condition:
    _require_interface("where", pattern, "telegram:-100123 or telegram:*")
    return lambda question: fnmatchcase(str(question.address), pattern)


def _require_interface(key: str, pattern: str, example: str) -> None:
    if ":" not in pattern and "*" not in pattern:
        raise ValueError(f"{key} would never match {pattern!r}. Write it as {example}.")


def _read_taint(table: Mapping[str, Json], verdict: Verdict) -> list[Condition]:
    """Read `tainted`; a rule that would make taint an advantage is refused."""
    if "tainted" not in table:
        return []
    tainted = table["tainted"]
    if not isinstance(tainted, bool):
        raise ValueError("tainted must be true or false, without quotes.")
    if tainted is (verdict is Verdict.ALLOW):
        than = "allow a tainted step what others may not" if tainted else f"{verdict} only what is not tainted"
        raise ValueError(
            f"verdict {verdict} with tainted = {str(tainted).lower()} would {than}, but taint only tightens. "
            "Leave tainted out."
        )
    return [lambda question: question.tainted is tainted]


def _read_arguments(table: Mapping[str, Json], verdict: Verdict) -> dict[str, Matcher]:
    arguments = table.get("arguments", {})
    if not isinstance(arguments, dict):
        raise ValueError('arguments must be a table, as { path = "/tmp/*" }.')
    return {field: _matcher(field, pattern, verdict) for field, pattern in arguments.items()}


def _matcher(field: str, pattern: Json, verdict: Verdict) -> Matcher:
    """Return the test of one payload field: a glob, or a regular expression behind `re:`.

    "." includes line breaks where the rule tightens and not where it allows, so that a line break helps nobody.
    """
    if not isinstance(pattern, str):
        raise ValueError(f'arguments.{field} must be a text: a glob, or "re:" and a regular expression.')
    if not pattern.startswith("re:"):
        return lambda text: fnmatchcase(text, pattern)
    try:
        expression = re.compile(pattern.removeprefix("re:"), re.NOFLAG if verdict is Verdict.ALLOW else re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"arguments.{field} is no regular expression: {error}.") from error
    return lambda text: is_found(expression, text, whole=True)


def _arguments_match(arguments: Mapping[str, Matcher]) -> Condition:
    def matches(question: Question) -> bool:
        payload = question.payload
        if payload is None:
            return True  # asked about all payloads at once: one that matches may be among them
        return all(
            payload.get(field) is not None and matcher(_text(field, payload[field]))
            for field, matcher in arguments.items()
        )

    return matches


def _text(field: str, value: Json) -> str:
    text = value if isinstance(value, str) else canonical(value)
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"{field} has {len(text)} characters, and patterns are tried on {LONGEST_TEXT} at most")
    return text


def _choice(choices: type[Choice], what: str, value: Json) -> Choice:
    names = [choice.value for choice in choices]
    if value not in names:
        raise ValueError(f"{what} must be one of {', '.join(names)}, but is {value!r}. {_nearest(value, names)}")
    return choices(value)


def _nearest(value: Json, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(str(value), known, n=1)
    return f"Did you mean {nearest[0]}?" if nearest else f"There are: {', '.join(known)}."
