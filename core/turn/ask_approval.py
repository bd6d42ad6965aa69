"""Who is asked to approve an action, and what they are shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from core.contracts.actions import ActionEnvelope, DisplayHints
from core.contracts.deliveries import Button, Delivery
from core.contracts.inputs import Address, Input, InputKind, Principal, Role
from core.contracts.policy import Decision
from core.services import approvals, inbox
from core.services.approvals import Approval
from core.turn.environment import TurnEnvironment
from core.turn.state import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """An approval that is to be stored, the questions to its approvers, and what those who wait are told."""

    approval: Approval
    questions: list[Delivery]
    notices: list[Delivery]


def approval_request(
    turn: Turn, env: TurnEnvironment, position: int, envelope: ActionEnvelope, decision: Decision
) -> ApprovalRequest | None:
    """Return what is asked of whom, or None when there is nobody to ask.

    A trainer is asked where they asked; anyone else's action is put to every trainer's private chat, and so is what
    a program asks for, whoever its principal is: it waits even where no trainer can be reached right now.
    """
    principal = turn.input.principal
    by_program = turn.input.kind is InputKind.CALL  # whoever is at the other end of it is not asked
    if turn.role is Role.TRAINER and not by_program:
        addresses, approver = [turn.input.address], str(principal)
    else:
        addresses, approver = env.people.trainer_addresses(), approvals.ANY_TRAINER
    if not (addresses or by_program):
        return None
    approval = Approval(
        id=approvals.new_id(),
        turn_id=turn.id,
        step=turn.number,
        position=position,
        lane=str(turn.input.address),
        envelope=envelope,
        hash=envelope.hash,
        principal=str(principal),
        approver=approver,
        reason=decision.reason,
        state="waiting",
        scope="",
        expires_at_ms=env.clock.now_ms() + approvals.VALID_MS,
    )
    entry = env.generation().get(envelope.type)
    text = _question(approval, turn, DisplayHints() if entry is None else entry.spec.display)
    buttons = tuple(
        Button(label=label, data={"command": command})
        for label, command in (
            ("Once", f"/approve {approval.id}"),
            ("Rest of this turn", f"/approve {approval.id} turn"),
            ("No", f"/deny {approval.id}"),
        )
    )
    ttl_s = approvals.VALID_MS / 1000
    questions = [Delivery(address=address, text=text, buttons=buttons, ttl_s=ttl_s) for address in addresses]
    notices = []
    if turn.input.address not in addresses and not by_program:
        waits = f"`{envelope.type}` has to be approved first. I have asked, and go on when it is."
        notices = [Delivery(address=turn.input.address, text=waits, ttl_s=ttl_s)]
    return ApprovalRequest(approval=approval, questions=questions, notices=notices)


def _question(approval: Approval, turn: Turn, display: DisplayHints) -> str:
    payload = json.dumps(approval.envelope.payload, ensure_ascii=False, indent=2)
    hinted = ((display.path_field, "text"), (display.command_field, "sh"), (display.diff_field, "diff"))
    first = [
        _block(value, language)
        for field, language in hinted
        if field and isinstance(value := approval.envelope.payload.get(field), str)
    ]
    return (
        f"**Approval needed** for `{approval.envelope.type}`, asked by {approval.principal} in {turn.input.address}."
        f"\n\n{''.join(first)}{_block(payload, 'json')}{approval.reason}\n\n"
        f"`/approve {approval.id}` (this once), `/approve {approval.id} turn` (for the rest of this turn) or "
        f"`/deny {approval.id}`. It expires in 15 minutes."
    )


def _block(text: str, language: str) -> str:
    """Return text between fences that it does not hold itself."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}\n\n"


def give(conn: Any, approval: Approval, scope: str, by: str, now_ms: int) -> bool:
    """Give an approval and let its turn go on; False when it is not waiting any more. scope: "once" or "turn"."""
    continuation = Input(
        kind=InputKind.CONTINUATION,
        principal=Principal.parse(approval.principal),
        address=Address.parse(approval.lane),
        dedupe_key=f"approval:{approval.id}",
        data={"approval_id": approval.id, "turn_id": approval.turn_id},
    )
    if not approvals.decide(conn, approval.id, "approved", scope, by, now_ms):
        return False
    inbox.put(conn, continuation, now_ms, passes_lanes=False)
    return True
