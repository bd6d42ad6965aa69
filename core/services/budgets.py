"""Budgets: what one principal may use, counted from the tables, so that a restart forgets nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, literal_column, select

from core.contracts.engine import EngineReply
from core.contracts.inputs import InputKind, Role
from core.settings.budgets import BudgetSettings
from core.storage.tables import asks, inbox, replies, turns

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
_BYTES_PER_TOKEN = 4

PLUGINS = "plugin"
"""Of the principal `plugin:NAME`, on whose behalf a plugin asks a model when it does so for nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleBudget:
    """What a principal of a role may use; None is without bound.

    turns_per_hour and engine_tokens_per_day: within an hour and a day of UTC. pending_inputs: at once.
    """

    turns_per_hour: int | None = None
    engine_tokens_per_day: int | None = None
    pending_inputs: int | None = None


def budgets_of(settings: BudgetSettings) -> dict[Role, RoleBudget]:
    """Return the budget of each role that has one."""
    given = {Role(role): RoleBudget(**dict(bounds)) for role, bounds in settings}
    return {role: budget for role, budget in given.items() if budget != RoleBudget()}


_is_open = inbox.c.state.in_([literal_column("'waiting'"), literal_column("'running'")])
_used = func.coalesce(replies.c.prompt_tokens, replies.c.prompt_bytes // _BYTES_PER_TOKEN) + func.coalesce(
    replies.c.completion_tokens, func.length(replies.c.text) // _BYTES_PER_TOKEN
)
"""What a server does not tell is estimated."""


def turns_before(conn: Any, principal: str, turn_id: int, since_ms: int) -> int:
    """Return how many turns of a principal began before this one, at or after `since_ms`.

    Commands and calls do not count.
    """
    statement = (
        select(func.count())
        .select_from(turns.join(inbox, inbox.c.id == turns.c.input_id))
        .where(
            turns.c.principal == principal,
            turns.c.started_at_ms >= since_ms,
            turns.c.id < turn_id,
            turns.c.origin == literal_column("'user'"),
            inbox.c.kind.not_in([kind.value for kind in InputKind if kind.without_model]),
        )
    )
    return int(conn.execute(statement).scalar())


def tokens_since(conn: Any, principal: str, since_ms: int) -> int:
    """Return how many tokens a principal has used at or after `since_ms`.

    Those of the engine calls in turns that began since, and of what plugins have asked for them since.
    """
    statement = (
        select(func.coalesce(func.sum(_used), 0))
        .select_from(turns.join(replies, replies.c.turn_id == turns.c.id))
        .where(turns.c.principal == principal, turns.c.started_at_ms >= since_ms)
    )
    for_them = select(func.coalesce(func.sum(asks.c.tokens), 0)).where(
        asks.c.principal == principal, asks.c.at_ms >= since_ms
    )
    return int(conn.execute(statement).scalar()) + int(conn.execute(for_them).scalar())


def tokens_of(reply: EngineReply) -> int:
    """Return how many tokens a call took, sent and received; what the server does not tell is estimated."""
    sent, received = reply.usage.prompt_tokens, reply.usage.completion_tokens
    return (reply.prompt_bytes // _BYTES_PER_TOKEN if sent is None else sent) + (
        len(reply.text) // _BYTES_PER_TOKEN if received is None else received
    )


def record_ask(conn: Any, principal: str, plugin: str, engine: str, tokens: int, now_ms: int) -> None:
    """Count what a plugin has asked an engine on behalf of a principal."""
    values = {"principal": principal, "plugin": plugin, "engine": engine, "tokens": tokens, "at_ms": now_ms}
    conn.execute(insert(asks), values)


def forget_old(conn: Any, now_ms: int) -> int:
    """Delete what no budget counts any more; return how many rows."""
    return int(conn.execute(delete(asks).where(asks.c.at_ms < now_ms - 2 * DAY_MS)).rowcount)


def waiting_inputs(conn: Any, principal: str, now_ms: int) -> int:
    """Return how many inputs of a principal wait for their turn or have it now; reminders to come do not count."""
    statement = (
        select(func.count())
        .select_from(inbox)
        .where(
            inbox.c.principal == principal, _is_open, inbox.c.passes_lanes.is_(False), inbox.c.not_before_ms <= now_ms
        )
    )
    return int(conn.execute(statement).scalar())
