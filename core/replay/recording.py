"""What is known of a turn that has been: the input, the model's replies, the actions and what was sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from core.contracts.actions import ActionEnvelope
from core.contracts.errors import RekkuError
from core.contracts.inputs import Input, InputKind
from core.contracts.json import Json, JsonObject
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.services import inbox as inboxes
from core.storage.tables import approvals, inbox, ledger, outbox, replies, turns

REPLAYABLE = (InputKind.MESSAGE, InputKind.COMMAND, InputKind.BUTTON)
GIVEN = ("approved", "used")
RUNNING = "running"


class NoRecording(RekkuError):
    """A turn cannot be run again."""

    code = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedReply:
    """What the model said. finish_reason as the server gave it: "length" means cut off."""

    step: int
    text: str
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneAction:
    """One action and what became of it.

    approved: the scope of the approval that it waited for and got, or "". effect: what it had declared.
    """

    step: int
    position: int
    type: str
    payload: JsonObject
    status: str
    reason: str = ""
    output: Json = None
    tainted: bool = False
    approved: str = ""
    effect: str = ""

    @property
    def envelope(self) -> ActionEnvelope:
        """The action alone."""
        return ActionEnvelope(type=self.type, payload=self.payload)

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        status = OutcomeStatus(self.status)
        return Outcome(status=status, reason=self.reason, output=self.output, tainted=self.tainted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One turn. at_ms: when it began, UTC milliseconds. role: of its principal. kind, body: of its input.

    sent: by address, everything that it sent there, put together.
    """

    turn: int
    at_ms: int
    state: str
    lane: str
    principal: str
    role: str
    kind: str
    body: JsonObject
    replies: tuple[RecordedReply, ...] = ()
    actions: tuple[DoneAction, ...] = ()
    sent: Mapping[str, str]

    @property
    def text(self) -> str:
        """What was said to Rekku."""
        return str(self.body["text"])

    def as_json(self) -> JsonObject:
        """Return it for a file; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: JsonObject) -> Recording:
        """Read what `as_json` has returned."""
        parts = {
            **found,
            "replies": tuple(RecordedReply(**reply) for reply in found["replies"]),
            "actions": tuple(DoneAction(**action) for action in found["actions"]),
        }
        return cls(**parts)

    def input(self, dedupe_key: str) -> Input:
        """Return the input anew."""
        row = _Row(self.kind, self.principal, self.lane, dedupe_key, json.dumps(self.body))
        return inboxes.decode(row)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the inbox, as far as its input is in it."""

    kind: str
    principal: str
    lane: str
    dedupe_key: str
    body: str
    not_before_ms: int = 0


def read_recording(conn: Any, turn_id: int, role: str) -> Recording:
    """Read a turn; raises NoRecording where there is none that could be run again.

    role: of its principal today, for where the recording is run without the tables that say it.
    """
    turn = conn.execute(select(turns).where(turns.c.id == turn_id)).one_or_none()
    if turn is None:
        raise NoRecording(f"There is no turn {turn_id}.", cure="`rekku ledger list` shows the turns of the newest.")
    cause = conn.execute(select(inbox).where(inbox.c.id == turn.input_id)).one_or_none()
    if cause is None:
        raise NoRecording(f"The input of turn {turn_id} is not kept any more.")
    if cause.kind not in REPLAYABLE:
        raise NoRecording(f"Turn {turn_id} was not begun by anybody's words but as {cause.kind}.")
    if turn.state == RUNNING:
        raise NoRecording(f"Turn {turn_id} still runs.", cure="Try again when it has ended.")
    said = conn.execute(
        select(replies).where(replies.c.turn_id == turn_id).order_by(replies.c.step, replies.c.attempt)
    ).all()
    done = conn.execute(
        select(ledger).where(ledger.c.turn_id == turn_id).order_by(ledger.c.step, ledger.c.position)
    ).all()
    given = conn.execute(
        select(approvals.c.hash, approvals.c.scope).where(
            approvals.c.turn_id == turn_id, approvals.c.state.in_(GIVEN)
        )
    )
    return Recording(
        turn=turn_id,
        at_ms=turn.started_at_ms,
        state=turn.state,
        lane=turn.lane,
        principal=turn.principal,
        role=role,
        kind=cause.kind,
        body=json.loads(cause.body),
        replies=tuple(RecordedReply(step=r.step, text=r.text, finish_reason=r.finish_reason) for r in said),
        actions=actions_of(done, {row.hash: row.scope for row in given}),
        sent=sent_by(conn, turn_id),
    )


def actions_of(rows: Any, approved: Mapping[str, str] = MappingProxyType({})) -> tuple[DoneAction, ...]:
    """Return the actions of rows of the ledger."""
    return tuple(
        DoneAction(
            step=row.step,
            position=row.position,
            type=row.action,
            payload=json.loads(row.payload),
            status=row.status,
            reason=row.reason,
            output=None if row.output is None else json.loads(row.output),
            tainted=bool(row.tainted),
            approved=approved.get(row.hash, ""),
            effect=row.effect,
        )
        for row in rows
    )


def sent_by(conn: Any, turn_id: int) -> dict[str, str]:
    """Return what a turn has sent, by address, the parts put together."""
    sent: dict[str, str] = {}
    rows = conn.execute(select(outbox).where(outbox.c.turn_id == turn_id).order_by(outbox.c.id))
    for row in rows:
        sent[row.address] = sent.get(row.address, "") + row.text
    return sent
