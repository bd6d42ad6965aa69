"""What becomes of a message from somebody who may not talk: no turn, no engine call, and few words."""

from __future__ import annotations

import dataclasses
from typing import Any

from core.contracts.hooks import TurnContext
from core.contracts.inputs import Accepted, Input, Role
from core.services import inbox, pairings
from core.services.notices import Notice
from core.services.pairings import Pairing
from core.settings import Access
from core.turn.environment import TurnEnvironment
from core.turn.tell_once import tell_once

HOUR_MS = 3600 * 1000
CODE_REPEATED_MS = 60 * 1000
REFUSED = "I do not know you ({principal}). The owner of this assistant can let you in."
TOO_MANY = "I do not know you ({principal}), and too many others wait for a pairing code. Ask again in an hour."
GIVEN = (
    "I do not know you yet. Your pairing code is `{code}`. Give it to the owner of this assistant, who lets you in "
    "with `/pair {code}`. It is valid for {minutes} minutes."
)


async def turn_away(env: TurnEnvironment, input: Input) -> tuple[Accepted, list[tuple[int, str]]]:
    """Note that an input came, and tell its sender why nothing follows, if that is due.

    Return also the ids and addresses of the outbox rows. Its words are not kept: nobody is to fill the database
    who may not even talk.
    """
    now_ms = env.clock.now_ms()
    bare = dataclasses.replace(input, text="", author_name="", quoted=(), attachments=(), data={})

    def store(conn: Any) -> tuple[int, bool, Notice | None]:
        input_id, duplicate = inbox.put(conn, bare, now_ms, passes_lanes=False, state="done")
        silent = duplicate or env.people.shut_out(input.principal)
        return input_id, duplicate, None if silent else _notice(conn, env, input, now_ms)

    input_id, duplicate, notice = await env.database.transact(store)
    env.reached("input committed")
    context = TurnContext(
        turn_id=0, principal=input.principal, role=Role.BLOCKED, address=input.address, origin=input.origin
    )
    rows = [] if notice is None else await tell_once(env, context, notice)
    return Accepted(input_id=input_id, duplicate=duplicate), rows


def refused(input: Input, now_ms: int) -> Notice:
    """Return what a stranger is told who gets no code."""
    text = REFUSED.format(principal=input.principal)
    return Notice(kind="refused", text=text, since_ms=now_ms - HOUR_MS + 1)


def _notice(conn: Any, env: TurnEnvironment, input: Input, now_ms: int) -> Notice:
    if env.people.access is not Access.PAIRING:
        return refused(input, now_ms)
    pairing = pairings.code_for(conn, input.principal, input.author_name, input.address, now_ms)
    if pairing is None:
        text = TOO_MANY.format(principal=input.principal)
        return Notice(kind="pairing_full", text=text, since_ms=now_ms - HOUR_MS + 1)
    # A new code is told at once, the same one again only after a while.
    since_ms = max(now_ms - CODE_REPEATED_MS + 1, pairing.expires_at_ms - pairings.VALID_MS)
    return Notice(kind="pairing", text=_given(pairing, now_ms), since_ms=since_ms)


def _given(pairing: Pairing, now_ms: int) -> str:
    return GIVEN.format(code=pairing.code, minutes=max((pairing.expires_at_ms - now_ms) // 60_000, 1))
