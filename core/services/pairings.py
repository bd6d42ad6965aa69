"""Pairing: the code that a stranger is given, and that a trainer confirms. Functions of a connection."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select

from core.contracts.inputs import Address, Principal, Role
from core.services import notices, roles
from core.storage.tables import pairings

VALID_MS = 3600 * 1000
MOST_PENDING = 20
"""Codes that wait on one interface at a time. Three would let three strangers keep everybody else out."""
MOST_WRONG = 10
WRONG_WINDOW_MS = 3600 * 1000
_WRONG = "pairing_wrong_code"
_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_LENGTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """A code that waits, for whom, and the private chat in which they asked."""

    principal: Principal
    code: str
    name: str
    address: Address
    expires_at_ms: int


def code_for(conn: Any, principal: Principal, name: str, address: Address, now_ms: int) -> Pairing | None:
    """Return the code that a stranger has, or a new one; None while too many wait on their interface."""
    forget_old(conn, now_ms)
    known = conn.execute(select(pairings).where(pairings.c.principal == str(principal))).one_or_none()
    if known is not None:
        return _pairing(known)
    waiting = select(func.count()).select_from(pairings).where(pairings.c.interface == principal.interface)
    if conn.execute(waiting).scalar() >= MOST_PENDING:
        return None
    made = Pairing(
        principal=principal,
        code="".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)),
        name=roles.shown_name(name),
        address=address,
        expires_at_ms=now_ms + VALID_MS,
    )
    values = {
        "principal": str(principal),
        "interface": principal.interface,
        "code": made.code,
        "name": made.name,
        "address": str(address),
        "created_at_ms": now_ms,
        "expires_at_ms": made.expires_at_ms,
    }
    conn.execute(insert(pairings), values)
    return made


def find(conn: Any, code: str, now_ms: int) -> Pairing | None:
    """Return what a code stands for, in whatever case and with whatever dashes it was typed; None: for nothing."""
    typed = "".join(character for character in code.upper() if character.isalnum())
    valid = (pairings.c.code == typed, pairings.c.expires_at_ms > now_ms)
    row = conn.execute(select(pairings).where(*valid)).one_or_none()
    return None if row is None else _pairing(row)


def try_code(conn: Any, code: str, tried_by: str, now_ms: int) -> Pairing | int | None:
    """Return what a code stands for; None when it is wrong, which is counted.

    After ten wrong ones within an hour every code is refused for an hour: until when (UTC milliseconds) is returned.
    """
    until_ms = notices.blocked_until(conn, tried_by, _WRONG, MOST_WRONG, WRONG_WINDOW_MS, now_ms)
    if until_ms:
        return until_ms
    found = find(conn, code, now_ms)
    if found is None:
        notices.count_try(conn, tried_by, _WRONG, MOST_WRONG, WRONG_WINDOW_MS, now_ms)
    return found


def redeem(conn: Any, pairing: Pairing, role: Role, *, decided_by: str, now_ms: int, tell: str = "") -> bool:
    """Use a code up and give its principal their role; False when it does not wait any more."""
    used = delete(pairings).where(pairings.c.code == pairing.code, pairings.c.expires_at_ms > now_ms)
    if not conn.execute(used).rowcount:
        return False
    roles.put(conn, pairing.principal, role, name=pairing.name, decided_by=decided_by, now_ms=now_ms, tell=tell)
    return True


def forget(conn: Any, principal: Principal) -> bool:
    """Void the code of a principal; False when they had none."""
    return bool(conn.execute(delete(pairings).where(pairings.c.principal == str(principal))).rowcount)


def forget_old(conn: Any, now_ms: int) -> None:
    """Delete the codes that have expired."""
    conn.execute(delete(pairings).where(pairings.c.expires_at_ms <= now_ms))


def listing(conn: Any, now_ms: int) -> list[dict[str, Any]]:
    """Return the codes that wait, for people, the oldest first."""
    columns = (
        pairings.c.principal,
        pairings.c.code,
        pairings.c.name,
        pairings.c.created_at_ms,
        pairings.c.expires_at_ms,
    )
    rows = select(*columns).where(pairings.c.expires_at_ms > now_ms).order_by(pairings.c.created_at_ms)
    return [dict(row._mapping) for row in conn.execute(rows)]


def _pairing(row: Any) -> Pairing:
    return Pairing(
        principal=Principal.parse(row.principal),
        code=row.code,
        name=row.name,
        address=Address.parse(row.address),
        expires_at_ms=row.expires_at_ms,
    )
