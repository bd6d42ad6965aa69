"""Approvals: bound to one exact action, to who may give them and to an expiry; each works once."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from core.contracts.actions import ActionEnvelope, ActionSpec
from core.contracts.inputs import Principal, Role
from core.contracts.json import JsonObject, compact
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.prompts import Line
from core.contracts.steps import RecordedAction
from core.services import history, ledger
from core.storage.tables import approvals

VALID_MS = 15 * 60 * 1000
ANY_TRAINER = "role:trainer"
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One row. scope: "" until it is given, then "once" or "turn". approver: a principal, or any trainer."""

    id: str
    turn_id: int
    step: int
    position: int
    lane: str
    envelope: ActionEnvelope
    hash: str
    principal: str
    approver: str
    reason: str
    state: str
    scope: str
    expires_at_ms: int

    def may_be_given_by(self, principal: Principal, role: Role) -> bool:
        """Whether this principal is the one who was asked."""
        return role is Role.TRAINER and self.approver in (ANY_TRAINER, str(principal))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A yes for the rest of a turn: it answers the question that was put, whatever else the payload says.

    reason: why it was asked. It tells taint: a yes that was given while the turn was clean is none to what foreign
    text may have asked for since.
    """

    envelope: ActionEnvelope
    reason: str

    def covers(self, spec: ActionSpec, envelope: ActionEnvelope, reason: str) -> bool:
        """Whether it answers the question about another action: of this type, for this reason, to the same place."""
        place = spec.destination_field
        same_place = not place or self.envelope.payload.get(place) == envelope.payload.get(place)
        return self.envelope.type == envelope.type and self.reason == reason and same_place


def new_id() -> str:
    """Return an id that is short to type and hard to guess (40 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def ask(conn: Any, approval: Approval, now_ms: int) -> None:
    """Write down that an approval is waited for."""
    conn.execute(
        insert(approvals),
        {
            "id": approval.id,
            "turn_id": approval.turn_id,
            "step": approval.step,
            "position": approval.position,
            "lane": approval.lane,
            "action": approval.envelope.type,
            "payload": compact(approval.envelope.payload),
            "hash": approval.hash,
            "principal": approval.principal,
            "approver": approval.approver,
            "reason": approval.reason,
            "state": "waiting",
            "scope": "",
            "decided_by": "",
            "created_at_ms": now_ms,
            "expires_at_ms": approval.expires_at_ms,
        },
    )


def find(conn: Any, approval_id: str) -> Approval | None:
    """Return an approval by its id."""
    row = conn.execute(select(approvals).where(approvals.c.id == approval_id)).one_or_none()
    if row is None:
        return None
    return Approval(
        id=row.id,
        turn_id=row.turn_id,
        step=row.step,
        position=row.position,
        lane=row.lane,
        envelope=ActionEnvelope(type=row.action, payload=json.loads(row.payload)),
        hash=row.hash,
        principal=row.principal,
        approver=row.approver,
        reason=row.reason,
        state=row.state,
        scope=row.scope,
        expires_at_ms=row.expires_at_ms,
    )


def waiting_in(conn: Any, turn_id: int) -> list[Approval]:
    """Return the approvals that a turn waits for."""
    ids = conn.execute(
        select(approvals.c.id).where(approvals.c.turn_id == turn_id, approvals.c.state == "waiting")
    ).scalars()
    return [approval for approval in (find(conn, id_) for id_ in list(ids)) if approval is not None]


def decide(conn: Any, approval_id: str, state: str, scope: str, decided_by: str, now_ms: int) -> bool:
    """Approve or deny a waiting approval that has not expired; False when it is not waiting any more."""
    statement = (
        update(approvals)
        .where(approvals.c.id == approval_id, approvals.c.state == "waiting", approvals.c.expires_at_ms > now_ms)
        .values(state=state, scope=scope, decided_by=decided_by)
    )
    return bool(conn.execute(statement).rowcount)


def use(conn: Any, approval_id: str) -> bool:
    """Use up an approval that was given; False when it was used before."""
    statement = update(approvals).where(approvals.c.id == approval_id, approvals.c.state == "approved")
    return bool(conn.execute(statement.values(state="used")).rowcount)


def give_back(conn: Any, approval_id: str) -> None:
    """Undo `use`: what was approved has not been begun after all."""
    statement = update(approvals).where(approvals.c.id == approval_id, approvals.c.state == "used")
    conn.execute(statement.values(state="approved"))


def overdue(conn: Any, now_ms: int) -> list[Approval]:
    """Return the waiting approvals whose time is over, a hundred at most."""
    ids = conn.execute(
        select(approvals.c.id).where(approvals.c.state == "waiting", approvals.c.expires_at_ms <= now_ms).limit(100)
    ).scalars()
    found = (find(conn, approval_id) for approval_id in list(ids))
    return [approval for approval in found if approval is not None]


def refuse(conn: Any, approval: Approval, reason: str, now_ms: int) -> None:
    """Note in the ledger, and for the model, that an action which waited was not approved; its turn is over."""
    ledger.deny_waiting(conn, approval.turn_id, approval.step, approval.position, reason, now_ms)
    denied = RecordedAction(envelope=approval.envelope, outcome=Outcome(status=OutcomeStatus.DENIED, reason=reason))
    tainted = ledger.step_tainted(conn, approval.turn_id, approval.step)
    told = Line(role="actions", text=ledger.summary_line(denied), tainted=tainted)
    session_id, asker = ledger.session_of(conn, approval.turn_id), Principal.parse(approval.principal)
    history.append(conn, session_id, approval.turn_id, [told], now_ms, principal=asker)


def expire(conn: Any, approval_id: str) -> bool:
    """Mark an approval as expired; False when it is not waiting any more."""
    statement = update(approvals).where(approvals.c.id == approval_id, approvals.c.state == "waiting")
    return bool(conn.execute(statement.values(state="expired")).rowcount)


def grants(conn: Any, turn_id: int) -> tuple[Grant, ...]:
    """Return what was approved for the rest of a turn."""
    rows = conn.execute(
        select(approvals.c.action, approvals.c.payload, approvals.c.reason).where(
            approvals.c.turn_id == turn_id, approvals.c.scope == "turn", approvals.c.state.in_(("approved", "used"))
        )
    )
    return tuple(
        Grant(envelope=ActionEnvelope(type=row.action, payload=json.loads(row.payload)), reason=row.reason)
        for row in rows
    )


def listing(conn: Any, limit: int) -> list[JsonObject]:
    """Return the newest approvals for people."""
    rows = conn.execute(select(approvals).order_by(approvals.c.created_at_ms.desc()).limit(limit))
    return [dict(row._mapping) | {"payload": json.loads(row.payload)} for row in rows]
