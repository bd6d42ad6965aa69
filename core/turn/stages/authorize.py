"""The one gate: from who asks, what for, where and on whose words, to allow, ask or deny.

It is asked when the catalogue is built for the model, and again when an action is about to run. Authority is
the principal's role and the rules of the operator; nothing that a model or a message says takes part. It fails
closed: a rule that raises denies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.contracts.actions import Permission
from core.contracts.inputs import Origin, Role
from core.contracts.policy import Decision, Question, Rule, Verdict

NEVER_ASKED = frozenset({"core_approve", "core_deny", "core_stop"})
"""What decides about an approval, or ends what waits for one, needs none: nobody could ever give it. A rule that asks
does not apply to these; one that denies does."""


def authorize(question: Question, rules: Sequence[Rule]) -> Decision:
    """Decide about one action; never raises."""
    if question.role is Role.BLOCKED:
        return Decision(verdict=Verdict.DENY, reason=f"{question.principal} may not use this assistant.")
    if _plants_by_itself(question):
        reason = f"A turn that nobody started may not do this: {question.spec.type} leaves something for later."
        return Decision(verdict=Verdict.DENY, reason=reason, rule="origin")
    decision = _by_rules(question, rules) or _by_permission(question)
    doubt = _doubt(question) if question.tainted else ""
    if not doubt or decision.verdict is Verdict.DENY:
        return decision
    if decision.verdict is Verdict.ALLOW:
        return Decision(verdict=Verdict.ASK, reason=doubt, rule="taint")
    # Asked for two reasons: a yes that was given for the first alone does not answer this.
    return replace(decision, reason=f"{decision.reason} {doubt}")


def visible(question: Question, rules: Sequence[Rule]) -> bool:
    """Whether the model is shown the action: not when it is denied whatever the payload is.

    A rule that looks at the payload counts only where it could let something through.
    """
    if question.role is Role.BLOCKED or _plants_by_itself(question):
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


def _plants_by_itself(question: Question) -> bool:
    """Whether a turn that the system started would plant another one: reminders must not breed."""
    return question.spec.plants and question.origin is Origin.SYSTEM


def _by_rules(question: Question, rules: Sequence[Rule]) -> Decision | None:
    matching: list[Rule] = []
    for rule in rules:
        try:
            matched = rule.matches(question)
        except Exception as error:  # noqa: BLE001 - a rule is foreign code here; the gate fails closed
            return Decision(verdict=Verdict.DENY, reason=f"{rule.name} failed ({error}).", rule=rule.name)
        if matched and not (rule.verdict is Verdict.ASK and question.spec.type in NEVER_ASKED):
            matching.append(rule)
    if not matching:
        return None
    strictest = max(matching, key=lambda rule: rule.verdict.strictness)
    says = {Verdict.ALLOW: "allows it", Verdict.ASK: "wants it approved", Verdict.DENY: "forbids it"}
    # All that ask are named: a yes to one of them is none to another one that matches later.
    named = [rule for rule in matching if rule.verdict is Verdict.ASK] if strictest.verdict is Verdict.ASK else []
    reason = " ".join(f"{rule.name} {says[rule.verdict]}." for rule in named or [strictest])
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


def _doubt(question: Question) -> str:
    """Return why a person has to look at it when foreign text may have asked for it, or ""."""
    if question.goes_elsewhere:
        return "This conversation holds text from others or from outside, and it writes to another chat."
    if question.spec.permission is Permission.TRAINER:
        return "This conversation holds text from others or from outside, which may have asked for it."
    return ""
