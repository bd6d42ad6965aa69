"""The commands for the conversations of a chat: list, begin, go back to one, close, choose a turn strategy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field

from core.ai_plugin_base import ActionContext, AIPluginBase, action
from core.contracts.errors import ActionFailed
from core.services import history, sessions
from core.services.sessions import LONGEST_TITLE, ListedSession
from core.turn.environment import TurnEnvironment

MOST_LISTED = 20
DEFAULT_STRATEGY = "default"


class SessionActions(AIPluginBase):
    """Whoever may talk in a chat may begin, list, switch and close its conversations, and those of no other."""

    def __init__(self, env: Callable[[], TurnEnvironment], timezone: str) -> None:
        self._env = env
        self._timezone = ZoneInfo(timezone)

    @action(name="core_new", effect="local", permission="anyone", command="new", model=False)
    async def new(
        self,
        ctx: ActionContext,
        title: Annotated[str, Field(max_length=LONGEST_TITLE, description="Its title, or nothing.")] = "",
    ) -> str:
        """Begin a new conversation: what was said before is not shown to the model any more."""
        env, lane, now_ms = self._env(), str(ctx.address), self._env().clock.now_ms()
        note = env.closed_sessions.noting(ctx.address, ctx.principal)

        def write(conn: Any) -> None:
            note(sessions.begin_another(conn, lane, title.strip(), now_ms))

        ctx.write(write)
        return f"A new conversation begins: {title.strip()}." if title.strip() else "A new conversation begins."

    @action(name="core_sessions", effect="read", permission="anyone", command="sessions", model=False)
    async def sessions(self, ctx: ActionContext) -> str:
        """List the conversations of this chat."""
        lane = str(ctx.address)
        found = await self._env().database.read(lambda conn: sessions.listing(conn, lane, limit=MOST_LISTED))
        if not found:
            return "There is no conversation here yet."
        lines = [self._line(one) for one in found]
        return "\n".join(["**Conversations**", "", *lines, "", "`/switch ID` goes on with one of them."])

    @action(name="core_switch", effect="local", permission="anyone", command="switch", model=False)
    async def switch(
        self, ctx: ActionContext, id: Annotated[int, Field(ge=1, description="The id that /sessions shows.")]
    ) -> str:
        """Go on with another conversation of this chat: its history and its summary are there again."""
        lane = str(ctx.address)
        found = await self._env().database.read(lambda conn: sessions.listed(conn, id))
        if found is None or found.lane != lane:
            raise ActionFailed(f"This chat has no conversation {id}.", cure="/sessions lists them.")
        if found.current:
            return f"This is the conversation {id} already."

        def write(conn: Any) -> None:
            if not sessions.pick(conn, lane, id):
                raise ActionFailed(f"This chat has no conversation {id} any more.", cure="/sessions lists them.")

        ctx.write(write)
        return f"The conversation {id} goes on: {_called(found)}."

    @action(name="core_close", effect="local", permission="anyone", command="close", model=False)
    async def close(self, ctx: ActionContext) -> str:
        """Close this conversation; the one before it goes on if it is open, else a new one begins."""
        env, lane, now_ms = self._env(), str(ctx.address), self._env().clock.now_ms()
        note = env.closed_sessions.noting(ctx.address, ctx.principal)

        def write(conn: Any) -> None:
            closed, _ = sessions.close(conn, lane, now_ms)
            note(closed)

        ctx.write(write)
        return "The conversation is closed. `/sessions` lists those of this chat."

    @action(name="core_strategy", effect="local", permission="trainer", command="strategy", model=False)
    async def strategy(
        self, ctx: ActionContext, name: Annotated[str, Field(description="The turn strategy, or nothing.")] = ""
    ) -> str:
        """Show the turn strategies, or choose how the turns of this conversation are taken."""
        env, lane, now_ms = self._env(), str(ctx.address), self._env().clock.now_ms()
        known = env.strategies.names
        if not name:
            session = await env.database.transact(lambda conn: history.open_session(conn, lane, now_ms))
            return (
                f"This conversation uses {session.strategy or 'no turn strategy'}. Strategies of plugins: "
                f"{', '.join(known) or 'none'}. `/strategy {DEFAULT_STRATEGY}` goes back to none."
            )
        if name != DEFAULT_STRATEGY and name not in known:
            raise ActionFailed(
                f"No plugin provides the turn strategy {name}.",
                cure=f"Use one of {', '.join([*known, DEFAULT_STRATEGY])}; `rekku plugins list` shows the plugins.",
            )
        chosen = "" if name == DEFAULT_STRATEGY else name
        ctx.write(lambda conn: history.choose(conn, lane, now_ms, strategy=chosen))
        return f"This conversation uses {f'the turn strategy {name}' if chosen else 'no turn strategy'} from now on."

    def _line(self, one: ListedSession) -> str:
        at_ms = one.last_at_ms or one.started_at_ms
        when = datetime.fromtimestamp(at_ms / 1000, self._timezone).strftime("%Y-%m-%d %H:%M")
        state = " (this one)" if one.current else " (closed)" if one.closed_at_ms else ""
        return f"- `{one.id}` {_called(one)}, {when}{state}"


def _called(one: ListedSession) -> str:
    return one.title or one.begins_with or "nothing said yet"
