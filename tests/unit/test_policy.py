"""Policy rules: what each key matches, and that a rule which is not understood is refused."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from core.bounded_search import SearchTooLong
from core.contracts.actions import ActionSpec
from core.contracts.errors import ConfigurationError
from core.contracts.inputs import Address, Principal, Role
from core.contracts.json import JsonObject
from core.contracts.policy import Question, Rule, Verdict
from core.services.policy import LONGEST_TEXT, read_rules


def rule(**table: Any) -> Rule:
    [read] = read_rules([{"verdict": "deny", **table}])
    return read


def question(
    action: str = "run_command",
    payload: JsonObject | None = None,
    *,
    who: str = "telegram:5",
    role: Role = Role.USER,
    where: str = "telegram:-100",
    tainted: bool = False,
) -> Question:
    return Question(
        spec=ActionSpec(type=action, description="", schema={}),
        payload=payload,
        principal=Principal.parse(who),
        role=role,
        address=Address.parse(where),
        tainted=tainted,
    )


def refusal(*tables: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_rules(tables)
    return str(caught.value)


def test_rules_are_read_from_toml_in_their_order() -> None:
    tables = tomllib.loads(
        """
        [[policy.rules]]
        verdict = "ask"
        action = ["run_*", "write_file"]
        who = "role:user"

        [[policy.rules]]
        name = "no secrets"
        verdict = "deny"
        arguments = { path = "*.env" }
        """
    )["policy"]["rules"]
    first, second = read_rules(tables)
    assert (first.name, first.verdict, first.any_payload) == ("policy.rules[1]", Verdict.ASK, True)
    assert (second.name, second.verdict, second.any_payload) == ("no secrets", Verdict.DENY, False)
    assert read_rules([]) == []


def test_a_rule_without_conditions_matches_everything() -> None:
    assert rule().matches(question())
    assert rule().any_payload


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("run_command", "run_command", True),
        ("run_*", "run_command", True),
        ("*", "run_command", True),
        ("Run_*", "run_command", False),
        ("run", "run_command", False),
        (["message", "run_*"], "run_command", True),
        (["message", "dice"], "run_command", False),
    ],
)
def test_action(pattern: object, action: str, expected: bool) -> None:
    assert rule(action=pattern).matches(question(action)) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("telegram:5", True),
        ("telegram:*", True),
        ("*:5", True),
        ("*", True),
        ("telegram:55", False),
        ("discord:*", False),
        ("role:user", True),
        ("role:trainer", False),
        ("role:guest", False),
        (["discord:*", "role:user"], True),
        (["discord:*", "role:guest"], False),
    ],
)
def test_who(pattern: object, expected: bool) -> None:
    assert rule(who=pattern).matches(question()) is expected


@pytest.mark.parametrize(
    ("pattern", "where", "expected"),
    [
        ("telegram:-100", "telegram:-100", True),
        ("telegram:-100", "telegram:-100/7", False),
        ("telegram:-100*", "telegram:-100/7", True),
        ("telegram:*", "console:1", False),
        (["console:*", "telegram:*"], "console:1", True),
    ],
)
def test_where(pattern: object, where: str, expected: bool) -> None:
    assert rule(where=pattern).matches(question(where=where)) is expected


def test_tainted() -> None:
    assert rule(tainted=True).matches(question(tainted=True))
    assert not rule(tainted=True).matches(question(tainted=False))


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("/tmp/*", "/tmp/x", True),
        ("/tmp/*", "/etc/x", False),
        ("6", 6, True),
        ("true", True, True),
        ('[[]"a",*]', ["a", "b"], True),
        ('{"a":1}', {"a": 1}, True),
        ("re:[0-9]+", 66, True),
        ("re:rm .*", "rm -rf /", True),
        ("re:rm", "rm -rf /", False),
        ("re:.*rm.*", "echo\nrm x", True),
        ("re:(?i)RM.*", "rm x", True),
        ("*", None, False),
        ("*", "", True),
    ],
)
def test_arguments(pattern: str, value: object, expected: bool) -> None:
    read = rule(arguments={"field": pattern})
    assert read.matches(question(payload={"field": value, "other": 1})) is expected


def test_all_arguments_have_to_match_and_be_there() -> None:
    read = rule(arguments={"a": "1", "b": "2"})
    assert read.matches(question(payload={"a": "1", "b": "2"}))
    assert not read.matches(question(payload={"a": "1", "b": "3"}))
    assert not read.matches(question(payload={"a": "1"}))


def test_a_line_break_helps_nobody() -> None:
    payload: JsonObject = {"command": "ls\nrm -rf /"}
    pattern = {"command": "re:ls.*"}
    allow, ask = read_rules([{"verdict": "allow", "arguments": pattern}, {"verdict": "ask", "arguments": pattern}])
    assert not allow.matches(question(payload=payload))
    assert ask.matches(question(payload=payload))


def test_asked_about_all_payloads_arguments_do_not_count() -> None:
    read = rule(action="run_*", arguments={"command": "rm *"})
    assert read.matches(question(payload=None))
    assert not read.matches(question("message", payload=None))
    assert not read.any_payload
    assert rule(arguments={}).any_payload


def test_all_conditions_have_to_hold() -> None:
    read = rule(action="run_*", who="telegram:5", where="telegram:*", tainted=True, arguments={"a": "1"})
    assert read.matches(question(payload={"a": "1"}, tainted=True))
    assert not read.matches(question("other", payload={"a": "1"}, tainted=True))
    assert not read.matches(question(payload={"a": "1"}, tainted=True, who="telegram:6"))
    assert not read.matches(question(payload={"a": "1"}, tainted=True, where="console:1"))
    assert not read.matches(question(payload={"a": "1"}))
    assert not read.matches(question(payload={"a": "2"}, tainted=True))


def test_a_text_that_is_too_long_raises_and_only_where_the_rule_is_about_it() -> None:
    read = rule(action="run_*", arguments={"command": "re:(a|b)*"})
    assert read.matches(question(payload={"command": "a" * LONGEST_TEXT}))
    long: JsonObject = {"command": "a" * (LONGEST_TEXT + 1)}
    with pytest.raises(ValueError, match="command has 10001 characters"):
        read.matches(question(payload=long))
    assert not read.matches(question("message", payload=long))
    with pytest.raises(ValueError, match="patterns are tried on"):
        read.matches(question(payload={"command": ["a"] * LONGEST_TEXT}))


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ({}, ["verdict is missing"]),
        ({"verdict": "denny"}, ["verdict must be one of", "Did you mean deny?"]),
        ({"verdict": True}, ["verdict must be one of"]),
        ({"verdict": "deny", "actoin": "x"}, ["'actoin'", "Did you mean action?"]),
        ({"verdict": "deny", "action": 3}, ["action must be a text or a list"]),
        ({"verdict": "deny", "action": []}, ["action must be a text or a list"]),
        ({"verdict": "deny", "action": ""}, ["action must be"]),
        ({"verdict": "deny", "action": ["x", 3]}, ["action must be"]),
        ({"verdict": "deny", "who": "role:admin"}, ["the role must be one of", "trainer"]),
        ({"verdict": "deny", "who": "role:trianer"}, ["Did you mean trainer?"]),
        ({"verdict": "deny", "who": "telegram"}, ["would never match", "telegram:5"]),
        ({"verdict": "deny", "where": "telegram"}, ["would never match"]),
        ({"verdict": "deny", "tainted": "yes"}, ["tainted must be true or false"]),
        ({"verdict": "allow", "tainted": True}, ["taint only tightens"]),
        ({"verdict": "deny", "tainted": False}, ["taint only tightens"]),
        ({"verdict": "ask", "tainted": False}, ["taint only tightens"]),
        ({"verdict": "deny", "arguments": "x"}, ["arguments must be a table"]),
        ({"verdict": "deny", "arguments": {"path": 3}}, ["arguments.path must be a text"]),
        ({"verdict": "deny", "arguments": {"path": "re:("}}, ["arguments.path is no regular expression"]),
        ({"verdict": "deny", "name": 3}, ["name must be a text"]),
    ],
)
def test_a_rule_that_is_not_understood_is_refused(table: dict[str, Any], parts: list[str]) -> None:
    text = refusal({"verdict": "ask"}, table)
    assert [part for part in ["policy.rules[2]", *parts] if part not in text] == [], text


def test_allowing_what_is_not_tainted_is_fine() -> None:
    [read] = read_rules([{"verdict": "allow", "tainted": False}])
    assert read.matches(question())
    assert not read.matches(question(tainted=True))


def test_all_wrong_rules_are_told() -> None:
    text = refusal({"verdict": "x"}, {"verdict": "deny"}, {"verdict": "deny", "who": 1})
    assert "policy.rules[1]" in text
    assert "policy.rules[2]" not in text
    assert "policy.rules[3]" in text


def test_a_pattern_that_never_ends_is_given_up() -> None:
    endless = rule(verdict="deny", arguments={"command": "re:(a+)+"})
    with pytest.raises(SearchTooLong, match="was searched for longer than"):
        endless.matches(question(payload={"command": "a" * 60 + "!"}))
