"""The commands about who may talk: ordinary actions that the model does not see, for trainers alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from core.ai_plugin_base import ActionContext, AIPluginBase, action
from core.contracts.errors import ActionFailed
from core.contracts.inputs import Principal, Role
from core.services import pairings, roles
from core.settings import Access, principal_text
from core.turn.environment import TurnEnvironment

Who = Annotated[str, Field(description="As telegram:5: an id, never a name.", max_length=190)]


class PeopleActions(AIPluginBase):
    """Pairing, and shutting people out."""

    def __init__(self, env: Callable[[], TurnEnvironment]) -> None:
        self._env = env

    @action(name="core_pair", effect="local", permission="trainer", command="pair", model=False, passes_lanes=True)
    async def pair(
        self,
        ctx: ActionContext,
        code: Annotated[str, Field(description="The code that they were given.", max_length=40)],
        role: Annotated[str, Field(pattern="^(user|guest)$", description='"user", or "guest".')] = "user",
    ) -> str:
        """Let somebody in who was given a pairing code."""
        env = self._env()
        if env.people.access is Access.TRAINERS:
            raise ActionFailed("Nobody but trainers may talk here.", cure="REKKU_ACCESS=pairing lets others in.")
        now_ms, by = env.clock.now_ms(), str(ctx.principal)
        found = await env.database.transact(lambda conn: pairings.try_code(conn, code, by, now_ms))
        if isinstance(found, int):
            minutes = -(-(found - now_ms) // 60_000)
            raise ActionFailed(f"Too many wrong codes. Codes are refused from you for {minutes} more minutes.")
        if found is None:
            raise ActionFailed(
                "No such code waits: it is wrong, used or expired.", cure="They get a new one by writing again."
            )
        pairing = found
        runs = pairing.address.interface in env.outgoing.interfaces()
        tell = "" if runs else str(pairing.address)

        def write(conn: Any) -> None:
            if not pairings.redeem(conn, pairing, Role(role), decided_by=by, now_ms=now_ms, tell=tell):
                raise ActionFailed("That code does not wait any more.")
            env.people.note(pairing.principal, Role(role))

        ctx.write(write)
        if runs:
            ctx.send(roles.WELCOME, to=pairing.address)
        called = f" ({pairing.name})" if pairing.name else ""
        return f"{pairing.principal}{called} is a {role} now."

    @action(
        name="core_unpair", effect="local", permission="trainer", command="unpair", model=False, passes_lanes=True
    )
    async def unpair(self, ctx: ActionContext, who: Who) -> str:
        """Take back what /pair or /block did: somebody is a stranger again."""
        env, principal = self._env(), _principal(who)

        def write(conn: Any) -> None:
            if not roles.remove(conn, principal) | pairings.forget(conn, principal):
                raise ActionFailed(
                    f"{principal} has no role and no code.", cure="`rekku pairing list` shows who has."
                )
            env.people.note(principal, None)

        ctx.write(write)
        return f"{principal} is a stranger from now on."

    @action(name="core_block", effect="local", permission="trainer", command="block", model=False, passes_lanes=True)
    async def block(self, ctx: ActionContext, who: Who) -> str:
        """Shut somebody out: they are not answered any more, not even with a code."""
        env, principal = self._env(), _principal(who)
        if env.people.role(principal) is Role.TRAINER:
            raise ActionFailed(
                f"{principal} is a trainer.", cure="Trainers are named in the settings, and only there."
            )
        now_ms = env.clock.now_ms()

        def write(conn: Any) -> None:
            pairings.forget(conn, principal)
            roles.put(conn, principal, Role.BLOCKED, name="", decided_by=str(ctx.principal), now_ms=now_ms)
            env.people.note(principal, Role.BLOCKED)

        ctx.write(write)
        return f"{principal} is blocked from now on."


def _principal(who: str) -> Principal:
    try:
        return Principal.parse(principal_text(who.strip()))
    except ValueError as error:
        raise ActionFailed(f"{error}.") from None
