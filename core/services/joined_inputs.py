"""Messages of one sender that wait in a lane and become one turn. Functions of a connection.

The first one is claimed as ever; those behind it carry its turn's id from then on and move with it: claimed again,
given back and finished in the same transactions. So a turn that is resumed sees the inputs that it began with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, select, update

from core.contracts.inputs import Input, InputKind, Origin
from core.services.inbox import LEASE_MS, ROW, Claimed, decode
from core.storage.tables import inbox

MOST_INPUTS = 20
MOST_BYTES = 32 * 1024
"""Of the texts together; a first one that is longer stays alone."""

_behind = (
    select(*ROW)
    .where(
        inbox.c.lane == bindparam("lane"),
        inbox.c.id > bindparam("head"),
        inbox.c.state == "waiting",
        inbox.c.passes_lanes.is_(False),
        inbox.c.not_before_ms <= bindparam("now"),
    )
    .order_by(inbox.c.id)
    .limit(MOST_INPUTS - 1)
)
_of_turn = (
    select(*ROW)
    .where(
        inbox.c.lane == bindparam("lane"),
        inbox.c.id > bindparam("head"),
        inbox.c.turn_id == bindparam("turn"),
        inbox.c.kind == InputKind.MESSAGE.value,
    )
    .order_by(inbox.c.id)
    .limit(MOST_INPUTS - 1)
)


def claim_behind(conn: Any, claimed: Claimed, turn_id: int, now_ms: int) -> Claimed:
    """Join what waits behind an input that was just claimed for the first time, as far as it can be joined."""
    head = claimed.input
    if not _can_join(head):
        return claimed
    found = {"lane": str(head.address), "head": claimed.lease.input_id, "now": now_ms}
    taken: list[tuple[int, Input]] = []
    length = _bytes(head)
    for row in conn.execute(_behind, found):
        input = decode(row)
        length += _bytes(input)
        if row.turn_id or input.principal != head.principal or not _can_join(input) or length > MOST_BYTES:
            break
        taken.append((row.id, input))
    return _take(conn, claimed, taken, turn_id, now_ms)


def claim_again(conn: Any, claimed: Claimed, now_ms: int) -> Claimed:
    """Join what an earlier run had joined with an input, and nothing else."""
    if claimed.input.kind is not InputKind.MESSAGE:
        return claimed
    return _take(conn, claimed, _joined(conn, claimed.input, claimed.lease.input_id, claimed.turn_id), 0, now_ms)


def load(conn: Any, input_id: int, turn_id: int) -> Input:
    """Return the input of a turn, with all that was joined with it; `input_id`: the first one, known to be there."""
    head = decode(conn.execute(select(*ROW).where(inbox.c.id == input_id)).one())
    if head.kind is not InputKind.MESSAGE:
        return head
    return together([head, *(input for _, input in _joined(conn, head, input_id, turn_id))])


def together(inputs: Sequence[Input]) -> Input:
    """Return one input that says what all of them say; it is the first one in everything else. Pure."""
    if len(inputs) == 1:
        return inputs[0]
    return replace(
        inputs[0],
        text="\n\n".join(input.text for input in inputs if input.text),
        quoted=tuple(quoted for input in inputs for quoted in input.quoted),
        attachments=tuple(attachment for input in inputs for attachment in input.attachments),
    )


def _joined(conn: Any, head: Input, head_id: int, turn_id: int) -> list[tuple[int, Input]]:
    found = {"lane": str(head.address), "head": head_id, "turn": turn_id}
    return [(row.id, decode(row)) for row in conn.execute(_of_turn, found)]


def _take(conn: Any, claimed: Claimed, joined: Sequence[tuple[int, Input]], turn_id: int, now_ms: int) -> Claimed:
    """Mark the joined rows as worked on; turn_id: of a turn that was just opened, 0 where they carry it already."""
    if not joined:
        return claimed
    ids = tuple(row_id for row_id, _ in joined)
    values = {"state": "running", "lease_owner": claimed.lease.owner, "lease_until_ms": now_ms + LEASE_MS}
    if turn_id:
        values["turn_id"] = turn_id
    conn.execute(update(inbox).where(inbox.c.id.in_(ids)).values(**values))
    return replace(
        claimed,
        input=together([claimed.input, *(input for _, input in joined)]),
        lease=replace(claimed.lease, joined=ids),
    )


def _can_join(input: Input) -> bool:
    """Whether it is a message that somebody wrote: a button's press brings data, and no words."""
    is_said = bool(input.text.strip() or input.attachments or input.quoted)
    return input.kind is InputKind.MESSAGE and input.origin is Origin.USER and is_said


def _bytes(input: Input) -> int:
    return len(input.text.encode("utf-8", "replace"))
