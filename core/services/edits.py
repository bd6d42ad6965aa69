"""Edits of messages that came in before. Functions of a connection.

An input whose data says `edit_of` is the new form of an earlier one of the same principal in the same chat: of the
one whose data has that `message_id`, or, where it has none, that dedupe key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from core.contracts.inputs import Input, InputKind
from core.contracts.prompts import Line
from core.services import history
from core.services.inbox import ROW, decode, encode
from core.storage.tables import inbox

EDIT_OF = "edit_of"
MOST_LOOKED_AT = 200
"""Rows of a chat, the newest first, among which the original is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The row of the message that was edited. begun: a turn has taken it up, or it never was to have one."""

    input_id: int
    input: Input
    turn_id: int
    begun: bool


def is_edit(input: Input) -> bool:
    """Whether an input is the new form of an earlier one."""
    return input.kind in (InputKind.MESSAGE, InputKind.COMMAND) and EDIT_OF in input.data


def original(conn: Any, edit: Input) -> Original | None:
    """Return what an edit changes; None when it is not known, or was somebody else's."""
    rows = conn.execute(
        select(*ROW)
        .where(
            inbox.c.lane == str(edit.address),
            inbox.c.principal == str(edit.principal),
            inbox.c.kind.in_((InputKind.MESSAGE.value, InputKind.COMMAND.value)),
        )
        .order_by(inbox.c.id.desc())
        .limit(MOST_LOOKED_AT)
    ).all()
    named = str(edit.data[EDIT_OF])
    for row in rows:
        input = decode(row)
        if EDIT_OF not in input.data and str(input.data.get("message_id", row.dedupe_key)) == named:
            begun = row.state != "waiting" or bool(row.turn_id)
            return Original(input_id=row.id, input=input, turn_id=row.turn_id, begun=begun)
    return None


def replace_waiting(conn: Any, found: Original, edit: Input, *, passes_lanes: bool) -> bool:
    """Let a message that waits say what its edit says; False when a turn has taken it up by now."""
    attachments = edit.attachments
    if "album" in edit.data:  # an edit shows one of its files only
        attachments = tuple(dict.fromkeys((*found.input.attachments, *edit.attachments)))
    new = {name: value for name, value in edit.data.items() if name != EDIT_OF}
    body = encode(
        Input(
            kind=edit.kind,
            principal=edit.principal,
            address=edit.address,
            dedupe_key=found.input.dedupe_key,
            text=edit.text,
            author_name=edit.author_name,
            quoted=edit.quoted,
            attachments=attachments,
            data={**found.input.data, **new},
        )
    )
    still = (inbox.c.id == found.input_id, inbox.c.state == "waiting", inbox.c.turn_id == 0)
    changed = update(inbox).where(*still).values(kind=edit.kind.value, body=body, passes_lanes=passes_lanes)
    return bool(conn.execute(changed).rowcount)


def note(conn: Any, edit: Input, found: Original | None, now_ms: int, *, alone: bool) -> None:
    """Note in the history what an edit says, where it says anything new.

    alone: nobody but its principal talks in that chat. Elsewhere only an edit of what had a turn counts as its
    principal's words, since only then is it known in later turns whose they are.
    """
    if not edit.text or (found is not None and found.input.text == edit.text):
        return
    turn_id = 0 if found is None else found.turn_id
    text = f"(edited) {edit.text}"
    if turn_id or alone:
        line = Line(role="user", text=text, author=edit.author_name)
    else:
        line = Line(role="foreign", text=text, author=edit.author_name, tainted=True)
    session = history.open_session(conn, str(edit.address), now_ms)
    history.append(conn, session.id, turn_id, [line], now_ms, principal=edit.principal)
