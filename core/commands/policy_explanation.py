"""One decision of the gate, taken apart: what it says, and what made it say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.app import App
from core.contracts.inputs import Principal, Role
from core.contracts.json import JsonObject
from core.contracts.policy import Decision, Question, Rule
from core.services.people import People
from core.settings import Access
from core.turn.stages.authorize import authorize, visible

TAINT = "taint"


def known_role(app: App, who: Principal, stored: Mapping[str, Role]) -> Role:
    """Return the role that a principal has on an installation that is loaded and not started.

    stored: the roles that its database knows, by principal.
    """
    interfaces = {c.name: c.instance for c in app.registry.components("interface") if c.instance is not None}
    people = People(app.settings.trainer_ids, app.settings.access, lambda: interfaces)
    people.note(who, stored.get(str(who)))
    return people.role(who)


def stranger(app: App, who: Principal, stored: Mapping[str, Role]) -> str:
    """Return what somebody is who may do nothing because nobody has let them in yet, or "" for everybody else."""
    if str(who) in stored or known_role(app, who, stored) is not Role.BLOCKED:
        return ""
    if app.settings.access is Access.PAIRING:
        return "a stranger who is not paired yet"
    return "a stranger, and nobody but trainers is let in"


def explanation(
    question: Question, rules: Sequence[Rule], complaints: Sequence[str], stranger: str = ""
) -> JsonObject:
    """Return the decision and its making. complaints: what the action's schema says against the payload.
    stranger: what `stranger` says of who asks.

    decided_by: "rule", "permission", "taint" or "role" (who is blocked may do nothing). matched: every rule that
    matches, with its verdict. shown: whether the model is shown the action at all.
    """
    spec = question.spec
    decision = authorize(question, rules)
    by = _decided_by(question, decision)
    return {
        "action": spec.type,
        "who": str(question.principal),
        "role": question.role.value,
        "stranger": bool(stranger),
        "standing": stranger or question.role.value,
        "where": str(question.address),
        "tainted": question.tainted,
        "verdict": decision.verdict.value,
        "decided_by": by,
        "rule": decision.rule if by == "rule" else "",
        "reason": decision.reason,
        "permission": spec.permission.value,
        "matched": [{"rule": rule.name, "verdict": said} for rule in rules if (said := _says(rule, question))],
        "shown": spec.model and visible(question_of_all(question), rules),
        "command": spec.command,
        "complaints": list(complaints),
    }


def question_of_all(question: Question) -> Question:
    """Return the question that is asked when the catalogue is built: about all payloads."""
    return Question(
        spec=question.spec,
        payload=None,
        principal=question.principal,
        role=question.role,
        address=question.address,
    )


def lines(told: JsonObject) -> str:
    """Return an explanation for people."""
    seen = ", having seen text from outside" if told["tainted"] else ""
    made_by = f"the rule {told['rule']}" if told["decided_by"] == "rule" else f"the {told['decided_by']}"
    text = [
        f"{told['verdict']}: {told['reason']}",
        f"asked: {told['action']} by {told['who']} ({told['standing']}) in {told['where']}{seen}",
        f"decided by: {made_by}",
        f"permission: {told['permission']}",
    ]
    text += [f"matches: {one['rule']} ({one['verdict']})" for one in told["matched"]]
    if not told["shown"]:
        typed = f"; it can be typed as /{told['command']}" if told["command"] else ""
        text.append(f"the model is not shown it{typed}")
    text += [f"invalid, so it would go back to the model: {complaint}" for complaint in told["complaints"]]
    return "\n".join(text)


def _decided_by(question: Question, decision: Decision) -> str:
    if question.role is Role.BLOCKED:
        return "role"
    if decision.rule == TAINT and not decision.reason.startswith(f"{TAINT} "):  # a rule may have that name too
        return TAINT
    return "rule" if decision.rule else "permission"


def _says(rule: Rule, question: Question) -> str:
    """Return a rule's verdict when it matches, "failed" when it raises, which denies, else ""."""
    try:
        return rule.verdict.value if rule.matches(question) else ""
    except Exception:  # noqa: BLE001 - as the gate itself takes it
        return "failed"
