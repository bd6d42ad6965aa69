"""The outbox: what must go out, one row a part, in order per address. Functions of a connection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, literal_column, select, update

from core.contracts.deliveries import Part
from core.contracts.inputs import Address
from core.contracts.json import JsonObject, compact
from core.storage.tables import outbox

OPEN = ("waiting", "sending")
LEASE_MS = 60_000
BATCH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPart:
    """A part that is to be sent, and what is known of it. claimed: it is ours to send, under `epoch`."""

    row_id: int
    part: Part
    attempts: int
    not_before_ms: int
    expires_at_ms: int
    turn_id: int
    epoch: int
    owner: str
    leased_until_ms: int
    claimed: bool = False


# Written out: a list that is bound is expanded anew at every call.
_is_open = outbox.c.state.in_([literal_column(f"'{state}'") for state in OPEN])
_put = insert(outbox)
_heads = select(outbox).where(outbox.c.address == bindparam("to"), _is_open).order_by(outbox.c.id).limit(BATCH)
_take = (
    update(outbox)
    # Another process may have sent or buried it while this waited for the row.
    .where(outbox.c.id == bindparam("row"), outbox.c.lease_epoch == bindparam("seen"), _is_open)
    .values(
        state="sending",
        attempts=outbox.c.attempts + 1,
        lease_owner=bindparam("owner"),
        lease_epoch=bindparam("epoch"),
        lease_until_ms=bindparam("until"),
    )
)
_held = (outbox.c.id == bindparam("row"), outbox.c.lease_epoch == bindparam("held"))
_sent = (
    update(outbox).where(*_held).values(state="sent", message_id=bindparam("message"), ended_at_ms=bindparam("at"))
)
_dead = update(outbox).where(*_held).values(state="dead", reason=bindparam("why"), ended_at_ms=bindparam("at"))
_later = (
    update(outbox).where(*_held).values(state="waiting", reason=bindparam("why"), not_before_ms=bindparam("when"))
)

_until = update(outbox).where(*_held).values(not_before_ms=bindparam("when"))


def put(conn: Any, parts: Sequence[tuple[Part, float]], turn_id: int, now_ms: int) -> list[int]:
    """Store parts, each with its time to live in seconds, in order; return their rows' ids."""
    ids = []
    for part, ttl_s in parts:
        values = {
            "address": str(part.address),
            "interface": part.address.interface,
            "turn_id": turn_id,
            "text": part.text,
            "body": compact(part.body),
            "state": "waiting",
            "attempts": 0,
            "not_before_ms": 0,
            "expires_at_ms": now_ms + int(ttl_s * 1000),
            "reason": "",
            "message_id": "",
            "lease_owner": "",
            "lease_epoch": 0,
            "lease_until_ms": 0,
            "created_at_ms": now_ms,
            "ended_at_ms": 0,
        }
        ids.append(conn.execute(_put, values).inserted_primary_key[0])
    return ids


def pending(conn: Any, address: str) -> list[PendingPart]:
    """Return the next parts of an address, in order."""
    return [
        PendingPart(
            row_id=row.id,
            part=Part(address=Address.parse(row.address), text=row.text, body=json.loads(row.body), id=str(row.id)),
            attempts=row.attempts,
            not_before_ms=row.not_before_ms,
            expires_at_ms=row.expires_at_ms,
            turn_id=row.turn_id,
            epoch=row.lease_epoch,
            owner=row.lease_owner,
            leased_until_ms=row.lease_until_ms if row.state == "sending" else 0,
        )
        for row in conn.execute(_heads, {"to": address})
    ]


def expire_leases(conn: Any, owner: str) -> None:
    """Void the leases of an owner and of all whose names begin with that, who are known to be gone; "": all."""
    held = outbox.c.lease_owner.startswith(owner, autoescape=True)
    conn.execute(update(outbox).where(outbox.c.state == "sending", held).values(lease_until_ms=0))


def claim_head(conn: Any, address: str, owner: str, now_ms: int) -> list[PendingPart]:
    """Return the next parts of an address, in order; the first is claimed if it may be sent now."""
    parts = pending(conn, address)
    if parts:
        head = parts[0]
        free = head.leased_until_ms <= now_ms or head.owner == owner
        if free and head.not_before_ms <= now_ms < head.expires_at_ms:
            parts[0] = take(conn, head, owner, now_ms) or head
    return parts


def take(conn: Any, pending_part: PendingPart, owner: str, now_ms: int) -> PendingPart | None:
    """Claim a part for sending; None when somebody else has it."""
    epoch = pending_part.epoch + 1
    values = {
        "row": pending_part.row_id,
        "seen": pending_part.epoch,
        "owner": owner,
        "epoch": epoch,
        "until": now_ms + LEASE_MS,
    }
    if not conn.execute(_take, values).rowcount:
        return None
    return replace(pending_part, epoch=epoch, claimed=True)


def sent(conn: Any, row_id: int, epoch: int, message_id: str, now_ms: int) -> None:
    """The platform took it."""
    conn.execute(_sent, {"row": row_id, "held": epoch, "message": message_id[:190], "at": now_ms})


def bury(conn: Any, row_id: int, epoch: int, reason: str, now_ms: int) -> None:
    """It can never be delivered: a dead letter with its reason."""
    conn.execute(_dead, {"row": row_id, "held": epoch, "why": reason, "at": now_ms})


def postpone(conn: Any, row_id: int, epoch: int, reason: str, until_ms: int) -> None:
    """Try again at `until_ms`; the parts behind it wait."""
    conn.execute(_later, {"row": row_id, "held": epoch, "why": reason, "when": until_ms})


def keep_until(conn: Any, row_id: int, epoch: int, until_ms: int) -> None:
    """Let a part that waits wait until `until_ms`, for the reason that it has."""
    conn.execute(_until, {"row": row_id, "held": epoch, "when": until_ms})


def open_addresses(conn: Any) -> list[tuple[str, str]]:
    """Return (address, interface) of all that has something to send."""
    rows = conn.execute(
        select(outbox.c.address, outbox.c.interface).where(_is_open).group_by(outbox.c.address, outbox.c.interface)
    )
    return [(row.address, row.interface) for row in rows]


def listing(conn: Any, states: Sequence[str], limit: int) -> list[JsonObject]:
    """Return the newest rows in `states`, newest first, for people."""
    columns = (
        "id",
        "address",
        "state",
        "attempts",
        "reason",
        "text",
        "created_at_ms",
        "expires_at_ms",
        "ended_at_ms",
    )
    rows = conn.execute(
        select(*(outbox.c[name] for name in columns))
        .where(outbox.c.state.in_(states))
        .order_by(outbox.c.id.desc())
        .limit(limit)
    )
    return [dict(row._mapping) for row in rows]


def waiting_for(conn: Any, address: str) -> int:
    """Return how many parts for an address are not sent yet."""
    statement = select(func.count()).select_from(outbox).where(outbox.c.address == address, outbox.c.state.in_(OPEN))
    return int(conn.execute(statement).scalar_one())


def counts(conn: Any) -> dict[str, int]:
    """Return how many rows stand in each state."""
    rows = conn.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
    return {row[0]: row[1] for row in rows}


def retry(conn: Any, row_ids: Sequence[int] | None, now_ms: int, ttl_ms: int) -> int:
    """Put dead letters (all when `row_ids` is None) back to waiting; return how many."""
    statement = update(outbox).where(outbox.c.state == "dead")
    if row_ids is not None:
        statement = statement.where(outbox.c.id.in_(row_ids))
    values = {"state": "waiting", "not_before_ms": 0, "expires_at_ms": now_ms + ttl_ms, "ended_at_ms": 0}
    return int(conn.execute(statement.values(**values)).rowcount)


def prune(conn: Any, before_ms: int, states: Sequence[str] = ("sent", "dead")) -> int:
    """Delete what ended before `before_ms`; return how many.

    The newest row stays: SQLite would give its id, which is the name of a part for its platform, to the next one.
    """
    newest = conn.execute(select(func.max(outbox.c.id))).scalar()
    if newest is None:
        return 0
    old = (outbox.c.state.in_(states), outbox.c.ended_at_ms < before_ms, outbox.c.id < newest)
    return int(conn.execute(delete(outbox).where(*old)).rowcount)
