"""What people and the watchdog want of single plugins: durable, and noticed by every process of an installation.

Functions of a connection. A wish is asked with a number that grows, and is answered under it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import insert, select, update

from core.contracts.json import compact
from core.storage.tables import kv

OWNER = "core.plugins"
"""Under which they stand in the table `kv`; no component has a name like it."""

ENABLE, DISABLE, RELOAD = "enable", "disable", "reload"
LONGEST_TEXT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What holds for one plugin, and what was asked last.

    disabled: by command, until it is enabled. quarantined: why, "" when it is not. by: who asked (a principal, or
    "command line"), at_ms: when, UTC milliseconds. asked: the number of the last wish, what: it. answered: the number
    of the last wish that a process has dealt with; ok, answer: how that ended.
    """

    disabled: bool = False
    quarantined: str = ""
    by: str = ""
    at_ms: int = 0
    asked: int = 0
    what: str = ""
    answered: int = 0
    ok: bool = True
    answer: str = ""


def everyone(conn: Any) -> dict[str, Wish]:
    """Return the wishes by the plugins' names."""
    rows = conn.execute(select(kv.c.key, kv.c.value).where(kv.c.owner == OWNER))
    return {row.key: Wish(**json.loads(row.value)) for row in rows}


def find(conn: Any, name: str) -> Wish:
    """Return what is wanted of a plugin."""
    text = conn.execute(select(kv.c.value).where(kv.c.owner == OWNER, kv.c.key == name)).scalar()
    return Wish() if text is None else Wish(**json.loads(text))


def ask(conn: Any, name: str, what: str, by: str, now_ms: int) -> Wish:
    """Note that a plugin is to be enabled, disabled or reloaded; return the wish."""
    before = find(conn, name)
    wish = replace(before, asked=before.asked + 1, what=what, by=by, at_ms=now_ms)
    if what != RELOAD:
        wish = replace(wish, disabled=what == DISABLE, quarantined=before.quarantined if what == DISABLE else "")
    _put(conn, name, wish)
    return wish


def quarantine(conn: Any, name: str, reason: str, now_ms: int) -> Wish:
    """Note that a plugin is not to be used until somebody enables it; return the wish."""
    wish = replace(find(conn, name), quarantined=reason[:LONGEST_TEXT], by="watchdog", at_ms=now_ms)
    _put(conn, name, wish)
    return wish


def answer(conn: Any, name: str, number: int, *, ok: bool, text: str) -> None:
    """Note what has become of a wish."""
    before = find(conn, name)
    if number >= before.answered:
        _put(conn, name, replace(before, answered=number, ok=ok, answer=text[:LONGEST_TEXT]))


def _put(conn: Any, name: str, wish: Wish) -> None:
    text = compact(asdict(wish))
    if not conn.execute(update(kv).where(kv.c.owner == OWNER, kv.c.key == name).values(value=text)).rowcount:
        conn.execute(insert(kv), {"owner": OWNER, "key": name, "value": text})
