"""Quotes of what the assistant itself said: which of them it is known to have said untainted.

An interface knows that a quoted text came from the assistant's account, and no more: what was said may repeat a web
page, or somebody else's words, and `/new` does not unsay it. What is not known is tainted. Functions of a connection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select

from core.contracts.inputs import Address, Input, Quoted
from core.storage.tables import messages, outbox, replies, steps, turns

MOST_LOOKED_AT = 1000
"""Parts that were sent to a chat, the newest first, among which a quote is looked for."""


def judged(conn: Any, input: Input) -> Input:
    """Return an input whose own quotes are clean where every turn that can have said them was, for its principal."""
    if not any(quoted.own or quoted.clean for quoted in input.quoted):
        return input
    return replace(input, quoted=tuple(_judged(conn, input, quoted) for quoted in input.quoted))


def _judged(conn: Any, input: Input, quoted: Quoted) -> Quoted:
    if not quoted.own:
        return replace(quoted, clean=False)
    said_in = _turns_that_said(conn, input.address, quoted)
    clean = bool(said_in) and all(_clean(conn, turn_id, input) for turn_id in said_in)
    return replace(quoted, clean=clean)


def _turns_that_said(conn: Any, address: Address, quoted: Quoted) -> set[int]:
    """Return the turns of the parts that were sent here, bear the name that is quoted and hold its text."""
    text = quoted.text.strip()
    if not text:
        return set()
    rows = conn.execute(
        select(outbox.c.turn_id, outbox.c.message_id, outbox.c.text)
        .where(outbox.c.state == "sent", outbox.c.address == str(address))
        .order_by(outbox.c.id.desc())
        .limit(MOST_LOOKED_AT)
    )
    # By the text as well: a chat that has moved numbers its messages anew.
    named = quoted.message_id
    return {row.turn_id for row in rows if text in row.text and (not named or row.message_id == named)}


def _clean(conn: Any, turn_id: int, input: Input) -> bool:
    """Whether a turn was this principal's, in this chat, and nothing that it saw or said is tainted."""
    turn = conn.execute(select(turns.c.principal, turns.c.lane).where(turns.c.id == turn_id)).one_or_none()
    if turn is None or (turn.principal, turn.lane) != (str(input.principal), str(input.address)):
        return False
    marks = [
        mark
        for table in (steps, replies, messages)
        for mark in conn.execute(select(table.c.tainted).where(table.c.turn_id == turn_id)).scalars()
    ]
    return bool(marks) and not any(marks)
