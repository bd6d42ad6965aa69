"""The roles that trainers gave, one row a principal. Functions of a connection, run inside `transact`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, select, update

from core.contracts.inputs import Address, Principal, Role
from core.storage.tables import kv, people

_OWNER, _KEY = "core", "people_revision"
LONGEST_NAME = 60
WELCOME = "You can talk to me from now on. /help shows what I can do."


def revision(conn: Any) -> int:
    """Return a number that every change of a role makes larger, so that others notice it."""
    return int(conn.execute(select(kv.c.value).where(kv.c.owner == _OWNER, kv.c.key == _KEY)).scalar() or 0)


def everyone(conn: Any) -> dict[str, Role]:
    """Return the role of every principal that has one, by the principal's text."""
    return {row.principal: Role(row.role) for row in conn.execute(select(people.c.principal, people.c.role))}


def put(
    conn: Any, principal: Principal, role: Role, *, name: str, decided_by: str, now_ms: int, tell: str = ""
) -> None:
    """Give a principal a role. tell: the address at which they are still to be told of it, or ""."""
    values = {
        "role": role.value,
        "name": shown_name(name),
        "since_ms": now_ms,
        "decided_by": decided_by,
        "tell": tell,
    }
    if not conn.execute(update(people).where(people.c.principal == str(principal)).values(values)).rowcount:
        conn.execute(insert(people), {"principal": str(principal), **values})
    _changed(conn)


def remove(conn: Any, principal: Principal) -> bool:
    """Take a principal's role away; False when they had none."""
    removed = bool(conn.execute(delete(people).where(people.c.principal == str(principal))).rowcount)
    _changed(conn)
    return removed


def untold(conn: Any) -> list[tuple[Principal, Address]]:
    """Return whom is still to be told that they were let in, and where; a hundred at most."""
    rows = conn.execute(select(people.c.principal, people.c.tell).where(people.c.tell != "").limit(100))
    return [(Principal.parse(row.principal), Address.parse(row.tell)) for row in rows]


def told(conn: Any, principal: Principal) -> bool:
    """Note that a principal is being told; False when somebody else has done so."""
    waiting = (people.c.principal == str(principal), people.c.tell != "")
    return bool(conn.execute(update(people).where(*waiting).values(tell="")).rowcount)


def listing(conn: Any) -> list[dict[str, Any]]:
    """Return every principal that has a role, for people."""
    columns = (people.c.principal, people.c.role, people.c.name, people.c.since_ms, people.c.decided_by)
    return [dict(row._mapping) for row in conn.execute(select(*columns).order_by(people.c.principal))]


def shown_name(name: str) -> str:
    """Return a display name that cannot pass for anything else: on one line, short, without marks."""
    return " ".join("".join(c if c.isprintable() and c not in "`*_[]<>" else " " for c in name).split())[
        :LONGEST_NAME
    ]


def _changed(conn: Any) -> None:
    place = (kv.c.owner == _OWNER, kv.c.key == _KEY)
    if not conn.execute(update(kv).where(*place).values(value=str(revision(conn) + 1))).rowcount:
        conn.execute(insert(kv), {"owner": _OWNER, "key": _KEY, "value": "1"})
