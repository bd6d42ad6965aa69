"""The inbox: what came in, once each, claimed by lease. Functions of a connection, run inside `transact`."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import and_, bindparam, case, func, insert, literal_column, or_, select, update

from core.contracts.errors import LeaseLost
from core.contracts.inputs import Address, Attachment, Input, InputKind, Origin, Principal, Quoted
from core.contracts.json import JsonObject, compact
from core.storage.tables import inbox, lanes

LEASE_MS = 30_000
DEDUPE_KEPT_MS = 30 * 24 * 3600 * 1000
OPEN = ("waiting", "running")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on one input: `owner` and `epoch` are checked by every commit.

    joined: the inputs that are worked on together with it (see `joined_inputs`). They come behind it in its lane and
    so need no fence of their own: who holds the first one holds them.
    """

    input_id: int
    owner: str
    epoch: int
    joined: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An input that was claimed, how often it had been begun before, and its turn (0: not opened yet)."""

    input: Input
    lease: Lease
    resumed: int
    turn_id: int
    received_at_ms: int


# Written out: a list that is bound is expanded anew at every call.
_is_open = inbox.c.state.in_([literal_column(f"'{state}'") for state in OPEN])
_put = insert(inbox)
_known = select(inbox.c.id).where(inbox.c.interface == bindparam("i"), inbox.c.dedupe_key == bindparam("k"))
_free = or_(inbox.c.state == "waiting", and_(inbox.c.state == "running", inbox.c.lease_until_ms < bindparam("now")))
ROW = (
    inbox.c.id,
    inbox.c.kind,
    inbox.c.principal,
    inbox.c.dedupe_key,
    inbox.c.interface,
    inbox.c.lane,
    inbox.c.body,
    inbox.c.state,
    inbox.c.turn_id,
    inbox.c.resumed,
    inbox.c.lease_epoch,
    inbox.c.lease_until_ms,
    inbox.c.not_before_ms,
    inbox.c.received_at_ms,
)
_head = (
    select(*ROW)
    .where(
        inbox.c.lane == bindparam("lane"),
        _is_open,
        inbox.c.passes_lanes.is_(False),
        inbox.c.not_before_ms <= bindparam("now"),
    )
    # What runs comes first, whatever stands before it: another process may have committed a lower id later.
    .order_by(case((inbox.c.state == "running", 0), else_=1), inbox.c.id)
    .limit(1)
)
_lock = select(lanes.c.lane).where(lanes.c.lane == bindparam("lane")).with_for_update()
_one = select(*ROW).where(inbox.c.id == bindparam("input"), _is_open)
_take = (
    update(inbox)
    # As it was read: its holder may have finished it, or renewed its lease, while this waited for the row.
    .where(
        inbox.c.id == bindparam("row"),
        inbox.c.lease_epoch == bindparam("seen"),
        inbox.c.state == bindparam("seen_state"),
        inbox.c.lease_until_ms == bindparam("seen_until"),
    )
    .values(
        state="running",
        resumed=bindparam("times"),
        lease_owner=bindparam("owner"),
        lease_epoch=bindparam("epoch"),
        lease_until_ms=bindparam("until"),
    )
)
_held = (
    inbox.c.id == bindparam("row"),
    inbox.c.lease_owner == bindparam("holder"),
    inbox.c.lease_epoch == bindparam("held"),
)
_finish = update(inbox).where(*_held).values(state="done", lease_owner="")
_keep = update(inbox).where(*_held).values(lease_until_ms=bindparam("until"))
_opened = update(inbox).where(*_held).values(turn_id=bindparam("turn"))
_release = update(inbox).where(*_held, inbox.c.state == "running").values(state="waiting", lease_owner="")


def put(conn: Any, input: Input, now_ms: int, *, passes_lanes: bool, state: str = "waiting") -> tuple[int, bool]:
    """Store an input; return its row's id and whether it was there before."""
    known = conn.execute(_known, {"i": input.principal.interface, "k": input.dedupe_key}).scalar()
    if known is not None:
        return known, True
    values = {
        "interface": input.principal.interface,
        "dedupe_key": input.dedupe_key,
        "lane": str(input.address),
        "kind": input.kind.value,
        "principal": str(input.principal),
        "body": encode(input),
        "passes_lanes": passes_lanes,
        "not_before_ms": input.not_before_ms,
        "received_at_ms": now_ms,
        "state": state,
        "turn_id": input.data.get("turn_id", 0) if input.kind is InputKind.CONTINUATION else 0,
        "resumed": 0,
        "lease_owner": "",
        "lease_epoch": 0,
        "lease_until_ms": 0,
    }
    return conn.execute(_put, values).inserted_primary_key[0], False


def claim_head(conn: Any, lane: str, owner: str, now_ms: int) -> Claimed | None:
    """Claim the oldest open input of a lane; None when there is none or somebody works on it."""
    take_turns(conn, lane)
    return _claim(conn, conn.execute(_head, {"lane": lane, "now": now_ms}).one_or_none(), owner, now_ms)


def take_turns(conn: Any, lane: str) -> None:
    """Keep other processes from claiming in a lane until this transaction ends; on SQLite nobody else could."""
    if conn.dialect.name != "sqlite" and conn.execute(_lock, {"lane": lane}).one_or_none() is None:
        conn.execute(insert(lanes), {"lane": lane})  # of two at once, the other fails and runs again


def claim_one(conn: Any, input_id: int, owner: str, now_ms: int) -> Claimed | None:
    """Claim an input that passes its lane by."""
    return _claim(conn, conn.execute(_one, {"input": input_id}).one_or_none(), owner, now_ms)


def _claim(conn: Any, row: Any, owner: str, now_ms: int) -> Claimed | None:
    if row is None or (row.state == "running" and row.lease_until_ms >= now_ms):
        return None
    resumed = row.resumed + (1 if row.state == "running" else 0)
    epoch = row.lease_epoch + 1
    taken = conn.execute(
        _take,
        {
            "row": row.id,
            "seen": row.lease_epoch,
            "seen_state": row.state,
            "seen_until": row.lease_until_ms,
            "times": resumed,
            "owner": owner,
            "epoch": epoch,
            "until": now_ms + LEASE_MS,
        },
    ).rowcount
    if not taken:
        return None
    return Claimed(
        input=decode(row),
        lease=Lease(input_id=row.id, owner=owner, epoch=epoch),
        resumed=resumed,
        turn_id=row.turn_id,
        received_at_ms=row.received_at_ms,
    )


def _fenced(conn: Any, statement: Any, lease: Lease, **values: Any) -> None:
    held = {"row": lease.input_id, "holder": lease.owner, "held": lease.epoch, **values}
    if conn.execute(statement, held).rowcount != 1:
        raise LeaseLost(f"Input {lease.input_id} was taken over by another process.")


def check(conn: Any, lease: Lease, now_ms: int) -> None:
    """Renew a lease, and so make sure that it is still held; raises LeaseLost."""
    until = now_ms + LEASE_MS
    _fenced(conn, _keep, lease, until=until)
    _with_joined(conn, lease, lease_until_ms=until)


def opened(conn: Any, lease: Lease, turn_id: int) -> None:
    """Note the turn that was opened for an input; raises LeaseLost."""
    _fenced(conn, _opened, lease, turn=turn_id)


def finish(conn: Any, lease: Lease) -> None:
    """Mark an input, and what was joined with it, as done; raises LeaseLost."""
    _fenced(conn, _finish, lease)
    _with_joined(conn, lease, state="done", lease_owner="")


def release(conn: Any, lease: Lease) -> None:
    """Give an unfinished input back, for the next start; nothing happens when the lease is lost."""
    if conn.execute(_release, {"row": lease.input_id, "holder": lease.owner, "held": lease.epoch}).rowcount:
        _with_joined(conn, lease, state="waiting", lease_owner="")


def release_lane(conn: Any, lane: str, owner: str) -> None:
    """Give back all that an owner has claimed in a lane, also where it does not know whether it did."""
    mine = (inbox.c.lane == lane, inbox.c.lease_owner == owner, inbox.c.state == "running")
    conn.execute(update(inbox).where(*mine, inbox.c.passes_lanes.is_(False)).values(state="waiting", lease_owner=""))


def _with_joined(conn: Any, lease: Lease, **values: Any) -> None:
    if lease.joined:
        conn.execute(update(inbox).where(inbox.c.id.in_(lease.joined)).values(**values))


def open_lanes(conn: Any, now_ms: int) -> list[str]:
    """Return the lanes in which something can be claimed now."""
    statement = (
        select(inbox.c.lane)
        .where(_free, _is_open, inbox.c.not_before_ms <= now_ms, inbox.c.passes_lanes.is_(False))
        .group_by(inbox.c.lane)
        .order_by(func.min(inbox.c.id))
    )
    return list(conn.execute(statement, {"now": now_ms}).scalars())


def open_passing(conn: Any, now_ms: int) -> list[int]:
    """Return the open inputs that pass their lanes by."""
    statement = select(inbox.c.id).where(_free, _is_open, inbox.c.passes_lanes.is_(True))
    return list(conn.execute(statement.order_by(inbox.c.id), {"now": now_ms}).scalars())


def next_instant(conn: Any, now_ms: int) -> int | None:
    """Return when the next input that waits for its time is due, in UTC milliseconds."""
    statement = select(func.min(inbox.c.not_before_ms)).where(
        inbox.c.state == "waiting", inbox.c.not_before_ms > now_ms
    )
    instant: int | None = conn.execute(statement).scalar()
    return instant


def expire_leases(conn: Any, owner: str) -> None:
    """Void the leases of an owner and of all whose names begin with that, who are known to be gone; "": all."""
    held = inbox.c.lease_owner.startswith(owner, autoescape=True)
    conn.execute(update(inbox).where(inbox.c.state == "running", held).values(lease_until_ms=0))


def count_open(conn: Any) -> int:
    """Return how many inputs are not done."""
    return int(conn.execute(select(func.count()).select_from(inbox).where(_is_open)).scalar())


def forget_old(conn: Any, now_ms: int, limit: int = 500) -> int:
    """Delete done inputs whose dedupe keys need not be kept any more; return how many.

    The newest one stays: SQLite would give its id, by which turns know their input, to the next one.
    """
    newest = conn.execute(select(func.max(inbox.c.id))).scalar()
    if newest is None:
        return 0
    old = (
        select(inbox.c.id)
        .where(inbox.c.state == "done", inbox.c.received_at_ms < now_ms - DEDUPE_KEPT_MS, inbox.c.id < newest)
        .limit(limit)
    )
    ids = list(conn.execute(old).scalars())
    if ids:
        conn.execute(inbox.delete().where(inbox.c.id.in_(ids)))
    return len(ids)


def encode(input: Input) -> str:
    """Return what stands in a row's body."""
    body: dict[str, Any] = {"text": input.text}
    if input.author_name:
        body["author_name"] = input.author_name
    if input.quoted:
        body["quoted"] = [asdict(quoted) for quoted in input.quoted]
    if input.attachments:
        body["attachments"] = [asdict(attachment) for attachment in input.attachments]
    if input.origin is not Origin.USER:
        body["origin"] = input.origin.value
    if input.data:
        body["data"] = input.data
    # Half a character (a lone surrogate) can be stored and sent nowhere; it stays readable as its escape, which is
    # escaped itself, so that reading the JSON does not bring it back.
    return _HALF_CHARACTER.sub(lambda half: f"\\\\u{ord(half.group()):04x}", compact(body))


def load(conn: Any, input_id: int) -> Input | None:
    """Return an input by its row's id, None when it is not kept any more."""
    row = conn.execute(select(*ROW).where(inbox.c.id == input_id)).one_or_none()
    return None if row is None else decode(row)


def note_undoes(conn: Any, input_id: int, compensation_id: int) -> None:
    """Note with an input what it takes back: it was chosen, whatever is done until its turn has ended."""
    body = json.loads(conn.execute(select(inbox.c.body).where(inbox.c.id == input_id)).scalar_one())
    noted = compact({**body, "undoes": compensation_id})
    conn.execute(update(inbox).where(inbox.c.id == input_id).values(body=noted))


def undoes(conn: Any, input_id: int) -> int:
    """Return what was noted so with an input, or 0."""
    body = conn.execute(select(inbox.c.body).where(inbox.c.id == input_id)).scalar_one()
    return int(json.loads(body).get("undoes", 0))


def data_of(body: str) -> JsonObject:
    """Return the data that a row's body carries."""
    data: JsonObject = json.loads(body).get("data", {})
    return data


def decode(row: Any) -> Input:
    """Return the input of a row that was read as `ROW`."""
    body = json.loads(row.body)
    return Input(
        kind=InputKind(row.kind),
        principal=Principal.parse(row.principal),
        address=Address.parse(row.lane),
        dedupe_key=row.dedupe_key,
        text=body["text"],
        author_name=body.get("author_name", ""),
        quoted=tuple(Quoted(**quoted) for quoted in body.get("quoted", ())),
        attachments=tuple(Attachment(**attachment) for attachment in body.get("attachments", ())),
        origin=Origin(body.get("origin", Origin.USER)),
        not_before_ms=row.not_before_ms,
        data=body.get("data", {}),
    )
