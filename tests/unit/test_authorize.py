"""The gate: every role against every permission, then rules, taint and other chats on top of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from core.contracts.actions import ActionSpec, Permission
from core.contracts.inputs import Address, Principal, Role
from core.contracts.json import JsonObject
from core.contracts.policy import Question, Rule, Verdict
from core.services.policy import LONGEST_TEXT, read_rules
from core.turn.stages.authorize import authorize, visible

ALLOW, ASK, DENY = Verdict.ALLOW, Verdict.ASK, Verdict.DENY
HERE = "telegram:-100/7"


def question(
    role: Role = Role.USER,
    permission: Permission = Permission.USER,
    payload: JsonObject | None = None,
    *,
    tainted: bool = False,
    destination_field: str = "to",
) -> Question:
    return Question(
        spec=ActionSpec(
            type="act", description="", schema={}, permission=permission, destination_field=destination_field
        ),
        payload=payload,
        principal=Principal("telegram", "5"),
        role=role,
        address=Address.parse(HERE),
        tainted=tainted,
    )


def fixed(verdict: Verdict, name: str = "", *, any_payload: bool = True, matches: bool = True) -> Rule:
    return Rule(name=name or f"rule {verdict}", verdict=verdict, matches=lambda _: matches, any_payload=any_payload)


def raising(verdict: Verdict = ALLOW) -> Rule:
    def fail(_: Question) -> bool:
        raise ValueError("cannot be decided")

    return Rule(name="rule raising", verdict=verdict, matches=fail, any_payload=True)


PERMITTED = {
    Permission.ANYONE: {Role.GUEST, Role.USER, Role.TRAINER},
    Permission.USER: {Role.USER, Role.TRAINER},
    Permission.TRAINER: {Role.TRAINER},
}


@pytest.mark.parametrize(("role", "permission"), list(product(Role, Permission)))
def test_without_rules_the_permission_decides(role: Role, permission: Permission) -> None:
    asked = question(role, permission, {})
    decision = authorize(asked, [])
    expected = ALLOW if role in PERMITTED[permission] else DENY
    assert (decision.verdict, decision.rule) == (expected, "")
    assert decision.reason
    assert visible(asked, []) is (expected is ALLOW)


@pytest.mark.parametrize("verdicts", [(), *product(Verdict, repeat=1), *product(Verdict, repeat=2)])
@pytest.mark.parametrize("role", [Role.GUEST, Role.USER, Role.TRAINER])
def test_the_strictest_rule_that_matches_beats_the_permission(role: Role, verdicts: tuple[Verdict, ...]) -> None:
    rules = [fixed(verdict, f"rule {position}") for position, verdict in enumerate(verdicts)]
    rules.insert(0, fixed(DENY, matches=False))
    decision = authorize(question(role, payload={}), rules)
    if not verdicts:
        assert decision.verdict is (DENY if role is Role.GUEST else ALLOW)
        return
    strictest = max(verdicts, key=[ALLOW, ASK, DENY].index)
    assert decision.verdict is strictest
    assert decision.rule == f"rule {verdicts.index(strictest)}", "the first of the strictest is named"
    assert decision.rule in decision.reason


@pytest.mark.parametrize("rules", [[], [fixed(ALLOW)], [fixed(ASK)], [raising()]])
@pytest.mark.parametrize("permission", Permission)
def test_who_is_blocked_may_nothing(permission: Permission, rules: list[Rule]) -> None:
    asked = question(Role.BLOCKED, permission, {})
    assert authorize(asked, rules).verdict is DENY
    assert "telegram:5" in authorize(asked, rules).reason
    assert not visible(asked, rules)


@pytest.mark.parametrize("others", [[], [fixed(ALLOW)], [fixed(ASK)]])
@pytest.mark.parametrize("verdict", Verdict)
def test_a_rule_that_raises_denies(verdict: Verdict, others: list[Rule]) -> None:
    for rules in ([raising(verdict), *others], [*others, raising(verdict)]):
        decision = authorize(question(Role.TRAINER, payload={}), rules)
        assert (decision.verdict, decision.rule) == (DENY, "rule raising")
        assert "cannot be decided" in decision.reason
        assert not visible(question(Role.TRAINER), rules)


def test_a_payload_too_long_for_a_rule_is_denied() -> None:
    rules = read_rules([{"verdict": "allow", "arguments": {"text": "re:[a-z]*"}}])
    assert authorize(question(payload={"text": "abc"}), rules).verdict is ALLOW
    assert authorize(question(payload={"text": "a" * (LONGEST_TEXT + 1)}), rules).verdict is DENY


@pytest.mark.parametrize(
    ("role", "permission", "payload", "expected"),
    [
        (Role.TRAINER, Permission.TRAINER, {}, ASK),
        (Role.TRAINER, Permission.USER, {}, ALLOW),
        (Role.USER, Permission.USER, {}, ALLOW),
        (Role.GUEST, Permission.ANYONE, {}, ALLOW),
        (Role.USER, Permission.TRAINER, {}, DENY),
        (Role.GUEST, Permission.USER, {}, DENY),
        (Role.TRAINER, Permission.ANYONE, {"to": "telegram:9"}, ASK),
        (Role.TRAINER, Permission.ANYONE, {"to": HERE}, ALLOW),
        (Role.USER, Permission.ANYONE, {"to": "telegram:9"}, DENY),
    ],
)
def test_taint_asks_for_what_matters(
    role: Role, permission: Permission, payload: JsonObject, expected: Verdict
) -> None:
    decision = authorize(question(role, permission, payload, tainted=True), [])
    assert decision.verdict is expected
    assert (decision.rule == "taint") is (expected is ASK)


@pytest.mark.parametrize("allowed_by_rule", [True, False])
@pytest.mark.parametrize(("role", "permission"), list(product(Role, Permission)))
@pytest.mark.parametrize("payload", [None, {}, {"to": "telegram:9"}, {"to": HERE}])
@pytest.mark.parametrize("rule", [None, *Verdict])
def test_taint_only_tightens(
    role: Role, permission: Permission, payload: JsonObject | None, rule: Verdict | None, allowed_by_rule: bool
) -> None:
    rules = [fixed(rule)] if rule is not None else []
    if allowed_by_rule:
        rules += read_rules([{"verdict": "allow"}, {"verdict": "ask", "tainted": True, "who": "role:guest"}])
    clean = authorize(question(role, permission, payload), rules)
    tainted = authorize(question(role, permission, payload, tainted=True), rules)
    assert tainted.verdict.strictness >= clean.verdict.strictness


def test_a_rule_that_allows_does_not_lift_taint() -> None:
    asked = question(Role.USER, Permission.TRAINER, {}, tainted=True)
    assert authorize(asked, [fixed(ALLOW)]).verdict is ASK
    elsewhere = question(Role.USER, Permission.ANYONE, {"to": "console:1"}, tainted=True)
    assert authorize(elsewhere, [fixed(ALLOW)]).verdict is ASK
    assert authorize(elsewhere, [fixed(DENY)]).verdict is DENY


@pytest.mark.parametrize(
    ("role", "payload", "expected"),
    [
        (Role.TRAINER, {"to": "console:1"}, ALLOW),
        (Role.USER, {"to": "console:1"}, DENY),
        (Role.GUEST, {"to": "console:1"}, DENY),
        (Role.GUEST, {"to": HERE}, ALLOW),
        (Role.GUEST, {"to": None}, ALLOW),
        (Role.GUEST, {}, ALLOW),
        (Role.GUEST, {"to": "telegram:-100"}, DENY),
        (Role.GUEST, {"to": ["telegram:-100"]}, DENY),
        (Role.GUEST, {"other": "console:1"}, ALLOW),
    ],
)
def test_another_chat_is_for_trainers(role: Role, payload: JsonObject, expected: Verdict) -> None:
    decision = authorize(question(role, Permission.ANYONE, payload), [])
    assert decision.verdict is expected
    if expected is DENY:
        assert "another chat" in decision.reason


def test_a_field_that_is_no_destination_goes_nowhere() -> None:
    asked = question(Role.GUEST, Permission.ANYONE, {"to": "console:1"}, destination_field="")
    assert authorize(asked, []).verdict is ALLOW


@pytest.mark.parametrize(
    ("role", "rules", "expected"),
    [
        (Role.USER, [fixed(DENY)], False),
        (Role.TRAINER, [fixed(DENY)], False),
        (Role.TRAINER, [fixed(ALLOW), fixed(DENY)], False),
        (Role.USER, [fixed(DENY, any_payload=False)], True),
        (Role.USER, [fixed(DENY, matches=False)], True),
        (Role.GUEST, [fixed(DENY, any_payload=False)], False),
        (Role.GUEST, [fixed(ASK)], True),
        (Role.GUEST, [fixed(ALLOW)], True),
        (Role.GUEST, [fixed(ALLOW, any_payload=False)], True),
        (Role.GUEST, [fixed(ALLOW, any_payload=False), fixed(DENY)], False),
        (Role.GUEST, [fixed(ALLOW, matches=False)], False),
    ],
)
def test_what_is_denied_whatever_the_payload_is_not_shown(role: Role, rules: list[Rule], expected: bool) -> None:
    assert visible(question(role), rules) is expected


ARGUMENTS: list[Callable[[], JsonObject]] = [dict, lambda: {"a": "1"}, lambda: {"a": "2"}]


@pytest.mark.parametrize(("role", "permission"), list(product(Role, Permission)))
@pytest.mark.parametrize(("first", "second"), list(product(Verdict, repeat=2)))
@pytest.mark.parametrize("with_arguments", list(product((True, False), repeat=2)))
def test_what_may_run_is_shown(
    role: Role, permission: Permission, first: Verdict, second: Verdict, with_arguments: tuple[bool, bool]
) -> None:
    conditions: list[JsonObject] = [{"arguments": {"a": "1"}} if given else {} for given in with_arguments]
    rules = read_rules([{"verdict": first, **conditions[0]}, {"verdict": second, **conditions[1]}])
    runs = any(authorize(question(role, permission, make()), rules).verdict is not DENY for make in ARGUMENTS)
    if runs:
        assert visible(question(role, permission), rules)
