"""The one gate: from who asks, what for, where and on whose words, to allow, ask or deny.

It is asked when the catalogue is built for the model, and again when an action is about to run. Authority is
the principal's role and the rules of the operator; nothing that a model or a message says takes part. It fails
closed: a rule that raises denies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.contracts.actions import Permission
from core.contracts.inputs import Role
from core.contracts.policy import Decision, Question, Rule, Verdict

TAINT = "taint"


def authorize(question: Question, rules: Sequence[Rule]) -> Decision:
    """Decide about one action; never raises."""
    if question.role is Role.BLOCKED:
        return Decision(verdict=Verdict.DENY, reason=f"{question.principal} may not use this assistant.")
    decision = _by_rules(question, rules) or _by_permission(question)
    foreign = _why_foreign_text_matters(question) if question.tainted else ""
    if not foreign or decision.verdict is Verdict.DENY:
        return decision
    if decision.verdict is Verdict.ASK:
        # Who is asked has to know that too: it is another question then.
        return replace(decision, reason=f"{decision.reason} {foreign}", tainted=True)
    return Decision(verdict=Verdict.ASK, reason=foreign, rule=TAINT, tainted=True)


def visible(question: Question, rules: Sequence[Rule]) -> bool:
    """Whether the model is shown the action: not when it is denied whatever the payload is.

    A rule that looks at the payload counts only where it could let something through.
    """
    if question.role is Role.BLOCKED:
        return False
    may_pass = False
    for rule in rules:
        try:
            matched = rule.matches(question)
        except Exception:  # noqa: BLE001 - a rule is foreign code here; what cannot be decided is not shown
            return False
        if matched and rule.any_payload and rule.verdict is Verdict.DENY:
            return False
        if matched and rule.verdict is not Verdict.DENY:
            may_pass = True
    return may_pass or _by_permission(question).verdict is not Verdict.DENY


def _by_rules(question: Question, rules: Sequence[Rule]) -> Decision | None:
    strictest: Rule | None = None
    for rule in rules:
        try:
            matched = rule.matches(question)
        except Exception as error:  # noqa: BLE001 - a rule is foreign code here; the gate fails closed
            return Decision(verdict=Verdict.DENY, reason=f"{rule.name} failed ({error}).", rule=rule.name)
        if matched and (strictest is None or rule.verdict.strictness > strictest.verdict.strictness):
            strictest = rule
    if strictest is None:
        return None
    says = {Verdict.ALLOW: "allows it", Verdict.ASK: "wants it approved", Verdict.DENY: "forbids it"}
    reason = f"{strictest.name} {says[strictest.verdict]}."
    return Decision(verdict=strictest.verdict, reason=reason, rule=strictest.name)


def _by_permission(question: Question) -> Decision:
    least = question.spec.permission.least_role
    if question.goes_elsewhere:
        least = Role.TRAINER
    if question.role.rank >= least.rank:
        return Decision(verdict=Verdict.ALLOW, reason=f"A {question.role} may do it.")
    what = "Writing to another chat" if question.goes_elsewhere else f"{question.spec.type}"
    return Decision(
        verdict=Verdict.DENY, reason=f"{what} is for a {least}, and {question.principal} is a {question.role}."
    )


def _why_foreign_text_matters(question: Question) -> str:
    """Return why a person has to look at it: text that the principal did not write may have asked for this."""
    if question.goes_elsewhere:
        return "This conversation holds text from others or from outside, and it writes to another chat."
    if question.spec.permission is Permission.TRAINER:
        return "This conversation holds text from others or from outside, which may have asked for it."
    return ""
