"""Rules without effect are found, and good ones are left alone."""

from __future__ import annotations

import pytest

from core.commands.policy_findings import policy_findings
from core.contracts.actions import ActionSpec
from core.contracts.json import JsonObject


def spec(type_: str, *fields: str, more: bool = False) -> ActionSpec:
    properties = {field: {"type": "string"} for field in fields}
    schema = {"type": "object", "properties": properties, "additionalProperties": more}
    return ActionSpec(type=type_, description="", schema=schema)


ACTIONS = {
    each.type: each
    for each in (spec("read_file", "path"), spec("write_file", "path", "text"), spec("wipe"), spec("free", more=True))
}


def problems(*tables: JsonObject) -> list[tuple[str, str]]:
    found = policy_findings(tables, ACTIONS, {"telegram", "console"})
    return [(one.rule, f"{one.problem} {one.cure}") for one in found]


@pytest.mark.parametrize(
    "table",
    [
        {"verdict": "deny"},
        {"verdict": "ask", "action": ["read_*", "wipe"], "who": ["role:user", "telegram:5"], "where": "tele*"},
        {"verdict": "deny", "action": "*", "arguments": {"path": "*.env"}},
        {"verdict": "deny", "action": "free", "arguments": {"whatever": "x"}},
        {"verdict": "deny", "where": "*:5", "tainted": True},
        {"verdict": "allow", "action": "write_file", "arguments": {"path": "/tmp/*", "text": "re:a+"}},
    ],
)
def test_nothing_is_found_in_a_good_rule(table: JsonObject) -> None:
    assert problems(table) == []


CORE = {each.type: each for each in (spec("core_approve", "id"), spec("core_deny", "id"), spec("core_stop"))}


def test_a_rule_that_asks_about_everything_is_told_what_it_does_not_ask_about() -> None:
    [found] = policy_findings([{"verdict": "ask", "action": "*"}], {**ACTIONS, **CORE}, {"telegram"})
    assert found.note
    assert "never asked about" in found.problem
    assert "core_approve, core_deny, core_stop" in found.problem
    [found] = policy_findings([{"verdict": "ask", "action": "core_approve"}], {**ACTIONS, **CORE}, {"telegram"})
    assert not found.note
    assert "it has no effect" in found.problem
    assert policy_findings([{"verdict": "deny", "action": "core_approve"}], {**ACTIONS, **CORE}, {"telegram"}) == []


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (
            {"verdict": "deny", "action": "raed_file"},
            "no action raed_file: it never matches. Did you mean read_file?",
        ),
        ({"verdict": "deny", "action": ["wipe", "net_*"]}, "no action net_*"),
        ({"verdict": "deny", "action": "read_file", "arguments": {"pat": "*"}}, "no field pat"),
        ({"verdict": "deny", "action": "read_file", "arguments": {"pat": "*"}}, "Did you mean path?"),
        (
            {"verdict": "deny", "action": ["read_file", "wipe"], "arguments": {"path": "*", "text": "*"}},
            "None of the 2 actions",
        ),
        (
            {"verdict": "deny", "who": "telegrm:5"},
            "no interface telegrm, so it never matches. Did you mean telegram?",
        ),
        ({"verdict": "deny", "where": "matrix:*"}, "no interface matrix"),
        ({"verdict": "allow", "who": "role:blocked"}, "has no effect"),
        ({"verdict": "perhaps"}, "verdict must be one of"),
        ({"verdict": "deny", "actoin": "wipe"}, "there is no key 'actoin'"),
    ],
)
def test_what_can_never_match_is_found(table: JsonObject, says: str) -> None:
    [(rule, told)] = problems({"verdict": "ask", "action": "free"}, table)
    assert rule == "policy.rules[2]"
    assert says in told


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ({"verdict": "deny"}, {"verdict": "ask", "action": "wipe"}),
        ({"verdict": "deny", "action": "*_file"}, {"verdict": "allow", "action": ["read_file", "write_file"]}),
        ({"verdict": "ask", "who": "telegram:*"}, {"verdict": "allow", "who": ["telegram:5", "telegram:1*"]}),
        ({"verdict": "ask", "who": "role:user"}, {"verdict": "allow", "who": "role:user", "where": "telegram:*"}),
        (
            {"verdict": "deny", "action": "read_file", "arguments": {"path": "/etc/*"}},
            {"verdict": "ask", "action": "read_file", "arguments": {"path": "/etc/ssh/*"}},
        ),
        ({"verdict": "deny", "tainted": True}, {"verdict": "ask", "tainted": True, "action": "wipe"}),
    ],
)
def test_a_rule_behind_a_stricter_one_is_found_in_either_order(wide: JsonObject, narrow: JsonObject) -> None:
    [(rule, told)] = problems(wide, narrow)
    assert rule == "policy.rules[2]"
    assert told.startswith(f"policy.rules[1] says {wide['verdict']} to all that it matches")
    assert [rule for rule, _ in problems(narrow, wide)] == ["policy.rules[1]"]


def test_of_two_that_say_the_same_the_later_one_is_found() -> None:
    twice: JsonObject = {"verdict": "deny", "action": "wipe"}
    [(rule, told)] = problems(twice, twice)
    assert rule == "policy.rules[2]"
    assert "already says deny" in told


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ({"verdict": "allow"}, {"verdict": "deny", "action": "wipe"}),
        ({"verdict": "deny", "action": "read_file"}, {"verdict": "ask", "action": "*_file"}),
        ({"verdict": "deny", "who": "role:guest"}, {"verdict": "ask", "who": "telegram:5"}),
        ({"verdict": "deny", "who": "telegram:5"}, {"verdict": "ask", "who": "role:user"}),
        ({"verdict": "deny", "tainted": True}, {"verdict": "allow", "action": "wipe"}),
        (
            {"verdict": "deny", "action": "read_file", "arguments": {"path": "re:/etc/.*"}},
            {"verdict": "ask", "action": "read_file", "arguments": {"path": "/etc/ssh/*"}},
        ),
        (
            {"verdict": "deny", "action": "read_file", "arguments": {"path": "*"}},
            {"verdict": "ask", "action": "read_file"},
        ),
    ],
)
def test_a_rule_that_may_decide_is_left_alone(wide: JsonObject, narrow: JsonObject) -> None:
    assert problems(wide, narrow) == []
