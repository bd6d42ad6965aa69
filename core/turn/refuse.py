"""Where a turn begins: whether its principal may still talk, and has something left of their budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.contracts.inputs import Origin, Role
from core.counted import counted
from core.services import approvals, budgets, inbox, ledger
from core.services.budgets import DAY_MS, HOUR_MS, RoleBudget
from core.services.notices import Notice
from core.turn.environment import TurnEnvironment
from core.turn.state import Turn
from core.turn.tell_once import notice_parts, put_notice
from core.turn.turn_away import refused

TURNS_USED = (
    "You have had the {most} that a {role} may have in an hour. Write again in {wait}; what you send until "
    "then is not answered."
)
TOKENS_USED = (
    "You have used the {most} of the model that a {role} may use in a day. Write again in {wait}; what you "
    "send until then is not answered."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a turn is not taken, and what its principal is told of it; None: nothing."""

    reason: str
    notice: Notice | None


async def refusal(turn: Turn, env: TurnEnvironment) -> Refusal | None:
    """Return why a turn is not to be taken, or None."""
    now_ms = env.clock.now_ms()
    if turn.role is Role.BLOCKED:
        # They were let in when they wrote this, and are not any more.
        shut_out = env.people.shut_out(turn.input.principal)
        told = not shut_out and env.people.alone(turn.input.principal, turn.input.address)
        reason = f"{turn.input.principal} may not use this assistant."
        return Refusal(reason=reason, notice=refused(turn.input, now_ms) if told else None)
    budget = env.budgets.get(turn.role)
    if budget is None or not _is_counted(turn):
        return None
    return await env.database.read(lambda conn: _used_up(conn, turn, budget, now_ms))


async def refuse(turn: Turn, env: TurnEnvironment, refusal: Refusal) -> None:
    """End a turn of which nothing is done; its words do not become history."""
    now_ms = env.clock.now_ms()
    context, notice = turn.context(), refusal.notice
    parts = [] if notice is None else await notice_parts(env, context, notice)

    def write(conn: Any) -> list[tuple[int, str]]:
        inbox.check(conn, turn.lease, now_ms)
        if turn.approved is not None:
            approvals.use(conn, turn.approved.id)
            approvals.refuse(conn, turn.approved, refusal.reason, now_ms)
        ledger.end_unseen(conn, turn.id, "The turn ended while it ran.", now_ms)
        inbox.finish(conn, turn.lease)
        ledger.end_turn(conn, turn.id, "error", refusal.reason, len(turn.steps), now_ms)
        return [] if notice is None else put_notice(conn, context, notice, parts, now_ms)

    rows = await env.database.transact(write)
    env.reached("after commit")
    turn.sent += rows
    env.wake_outbox(rows)


def _is_counted(turn: Turn) -> bool:
    """Whether a turn begins with an engine call: a command, or what has begun already, does not."""
    begun = turn.number > 0 or bool(turn.replies) or turn.approved is not None
    return not begun and not turn.input.kind.without_model


def _used_up(conn: Any, turn: Turn, budget: RoleBudget, now_ms: int) -> Refusal | None:
    principal = str(turn.input.principal)
    most, hour_ms = budget.turns_per_hour, now_ms - now_ms % HOUR_MS
    # What the system starts on somebody's earlier order is no turn of theirs, but its tokens are.
    by_hand = turn.input.origin is Origin.USER
    if most is not None and by_hand and budgets.turns_before(conn, principal, turn.id, hour_ms) >= most:
        return _over("turns_per_hour", TURNS_USED, "turn", turn.role, most, hour_ms, hour_ms + HOUR_MS - now_ms)
    most, day_ms = budget.engine_tokens_per_day, now_ms - now_ms % DAY_MS
    if most is not None and budgets.tokens_since(conn, principal, day_ms) >= most:
        return _over("engine_tokens_per_day", TOKENS_USED, "token", turn.role, most, day_ms, day_ms + DAY_MS - now_ms)
    return None


def _over(key: str, sentence: str, thing: str, role: Role, most: int, since_ms: int, wait_ms: int) -> Refusal:
    minutes = -(-wait_ms // 60_000)
    wait = f"{minutes} minutes" if minutes < 120 else f"{-(-minutes // 60)} hours"
    text = sentence.format(most=counted(most, thing), role=role.value, wait="a minute" if minutes == 1 else wait)
    return Refusal(
        reason=f"The budget {key} ({most} for a {role.value}) is used up.",
        notice=Notice(kind=key, text=text, since_ms=since_ms),
    )
