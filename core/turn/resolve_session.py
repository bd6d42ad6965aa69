"""Which session, engine, persona and turn strategy a turn uses, as the hooks want it."""

from __future__ import annotations

from dataclasses import replace

import structlog

from core.contracts.hooks import SessionView
from core.services import history
from core.services.history import Session
from core.turn.environment import TurnEnvironment
from core.turn.state import Turn

log = structlog.get_logger("rekku.turns")


async def resolved_session(turn: Turn, env: TurnEnvironment) -> Session:
    """Ask `resolve_session`, and return the session of this turn; nothing of it is stored as the lane's choice."""
    view = await env.hooks.chain("resolve_session", turn.context(), turn.session.view)
    if not isinstance(view, SessionView):
        return turn.session
    session = turn.session
    if view.id != session.id:
        lane = str(turn.input.address)
        found = await env.database.read(lambda conn: history.find(conn, view.id, lane))
        if found is None:
            log.warning("a hook chose a session that this chat does not have", session=view.id, lane=lane)
        session = found or session
    return replace(session, engine=view.engine, model=view.model, persona=view.persona, strategy=view.strategy)
