"""The commands that belong to the core: ordinary actions that the model does not see, under the same gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import Field

from core.ai_plugin_base import ActionContext, AIPluginBase, action
from core.contracts.actions import ActionSpec
from core.contracts.errors import ActionFailed
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Address, Principal, Role
from core.contracts.policy import Question
from core.services import approvals, history
from core.services.approvals import Approval
from core.turn.ask_approval import give
from core.turn.catalogue_text import whole_text
from core.turn.environment import TurnEnvironment
from core.turn.explain_command import explain_command
from core.turn.find_actions import find_actions
from core.turn.gather import offered
from core.turn.resolve_mentions import mentions_of
from core.turn.running_action import RunningAction
from core.turn.stages.authorize import visible
from core.turn.stages.read_command import usage
from core.turn.status import status_text
from core.turn.tell_absent import tell_absent

DEFAULT_ENGINE = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """What the commands work on besides the environment: `stop_turn(lane, principal, role)` of the dispatcher."""

    stop_turn: Callable[[str, Principal, Role], bool]


class CoreActions(AIPluginBase):
    """Help, engines, approvals."""

    def __init__(self, env: Callable[[], TurnEnvironment], controls: Controls) -> None:
        self._env = env
        self._controls = controls

    @action(name="core_help", effect="read", permission="anyone", command="help", model=False)
    async def help(
        self,
        ctx: ActionContext,
        command: Annotated[str, Field(max_length=64, description="What to tell more of, or nothing.")] = "",
    ) -> str:
        """Show what can be typed and what can be asked for."""
        env = self._env()
        lines = ["**Commands**", ""]
        generation = env.generation()

        def may(spec: Any) -> bool:
            asked = Question(spec=spec, payload=None, principal=ctx.principal, role=ctx.role, address=ctx.address)
            return visible(asked, env.rules)

        if command:
            specs = [entry.spec for entry in generation.values() if may(entry.spec)]
            return await self._explained(command.strip().removeprefix("/").lower(), specs, ctx)
        for _, entry in sorted(generation.commands.items()):
            if may(entry.spec):
                lines.append(f"- `{usage(entry.spec)}`: {entry.spec.description}")
        if mentions := mentions_of(env, ctx.role):
            lines += ["", "**In a message** you can write:", ""]
            lines += [f"- `@{name}`: {description}" for name, description in mentions.items()]
        phrases = [entry.spec.phrases[0] for entry in generation.values() if entry.spec.phrases and may(entry.spec)]
        if phrases:
            lines += ["", "**You can also say**, for example:", ""]
            lines += [f"- {phrase}" for phrase in sorted(phrases)[:12]]
        return "\n".join(lines)

    async def _explained(self, name: str, specs: list[ActionSpec], ctx: ActionContext) -> str:
        """Return what there is to know of a command, or of an action by its type."""
        names = {spec.type: spec for spec in specs} | {spec.command: spec for spec in specs if spec.command}
        if name in names:
            return explain_command(names[name])
        if absent := await tell_absent(name, ctx.role, self._env()):
            raise ActionFailed(absent)
        close = get_close_matches(name, names, n=1)
        cure = f"Did you mean /help {close[0]}?" if close else "/help lists all."
        raise ActionFailed(f"There is no command /{name}.", cure=cure)

    @action(effect="read", permission="anyone", reads_outside=False)
    async def describe_actions(
        self,
        ctx: ActionContext,
        names: Annotated[list[str], Field(max_length=10, description="Actions by name.")] = [],  # noqa: B006
        about: Annotated[str, Field(max_length=500, description="Or words about what is to be done.")] = "",
    ) -> dict[str, str]:
        """Tell what actions do and take."""
        specs = {spec.type: spec for spec in await self._described(ctx)}
        found = [specs[name] for name in names if name in specs]
        found += find_actions(about, [spec for spec in specs.values() if spec not in found])
        if not found:
            close = [near for name in names for near in get_close_matches(name, specs)]
            cure = f"Did you mean {' or '.join(close)}?" if close else "Say in other words what is to be done: about."
            raise ActionFailed("There is no such action.", cure=cure)
        return {spec.type: whole_text(spec) for spec in found}

    async def _described(self, ctx: ActionContext) -> list[ActionSpec]:
        """Return the actions that can be told of: those that the prompt of the step is about, where there is one."""
        env = self._env()
        generation = env.generation()
        told = ctx.offered if isinstance(ctx, RunningAction) else None
        if told is not None:
            return [entry.spec for entry in generation.values() if entry.spec.type in told]
        context = TurnContext(
            turn_id=ctx.turn_id,
            principal=ctx.principal,
            role=ctx.role,
            address=ctx.address,
            origin=ctx.origin,
            tainted=ctx.tainted,
        )
        return await offered(context, env, generation)

    @action(name="core_status", effect="read", permission="user", command="status", model=False, passes_lanes=True)
    async def status(self, ctx: ActionContext) -> str:
        """Show the engine, the size of the prompt by section, and what waits."""
        return await status_text(self._env(), str(ctx.address), ctx)

    @action(name="core_engine", effect="local", permission="trainer", command="engine", model=False)
    async def engine(
        self, ctx: ActionContext, name: Annotated[str, Field(description="The engine, or nothing.")] = ""
    ) -> str:
        """Show the engines, or choose the one that this conversation uses."""
        env = self._env()
        now_ms = env.clock.now_ms()
        chain = " then ".join(env.engines.default_chain) or "none"
        if not name:
            session = await env.database.transact(lambda conn: history.open_session(conn, str(ctx.address), now_ms))
            used = session.engine or f"the default, {chain}"
            return (
                f"This conversation uses {used}. Engines that can be used: {', '.join(env.engines.names) or 'none'}. "
                f"`/engine {DEFAULT_ENGINE}` goes back to the default ({chain})."
            )
        if name == DEFAULT_ENGINE:
            ctx.write(lambda conn: history.choose(conn, str(ctx.address), now_ms, engine="", model=""))
            return f"This conversation uses the default engine from now on: {chain}."
        if env.engines.get(name) is None:
            cure = (
                f"Use one of {', '.join([*env.engines.names, DEFAULT_ENGINE])}; `rekku doctor` says what others need."
            )
            raise ActionFailed(f"The engine {name} cannot be used here.", cure=cure)
        ctx.write(lambda conn: history.choose(conn, str(ctx.address), now_ms, engine=name, model=""))
        return f"This conversation uses the engine {name} from now on."

    @action(name="core_model", effect="local", permission="trainer", command="model", model=False, timeout_s=20)
    async def model(
        self, ctx: ActionContext, name: Annotated[str, Field(description="The model, or nothing.")] = ""
    ) -> str:
        """Show the models of the engine in use, or choose one for this conversation."""
        env = self._env()
        now_ms = env.clock.now_ms()
        address = str(ctx.address)
        if name:
            ctx.write(lambda conn: history.choose(conn, address, now_ms, model=name))
            return f"This conversation uses the model {name} from now on."
        session = await env.database.transact(lambda conn: history.open_session(conn, address, now_ms))
        chain = env.engines.chain(session.engine)
        if not chain:
            raise ActionFailed("No engine is set up.", cure="See `rekku doctor`.")
        await chain[0].ready()
        models = await chain[0].engine.models()
        known = ", ".join(models[:50]) or "not told by the engine"
        return (
            f"In use: {session.model or chain[0].engine.model or 'the default'}. Models of {chain[0].name}: {known}."
        )

    @action(name="core_stop", effect="read", permission="anyone", command="stop", model=False, passes_lanes=True)
    async def stop_turn(self, ctx: ActionContext) -> str | None:
        """Abort what runs in this chat."""
        stopped = self._controls.stop_turn(str(ctx.address), ctx.principal, ctx.role)
        return None if stopped else "Nothing that you could stop is running here."

    @action(name="core_undo", effect="local", permission="anyone", command="undo", model=False)
    async def undo(self) -> None:
        """Take back what you did last in this chat, where it can be taken back."""
        raise ActionFailed("There is nothing to take back.")  # the pipeline puts the compensation in its place

    @action(
        name="core_approve", effect="local", permission="trainer", command="approve", model=False, passes_lanes=True
    )
    async def approve(
        self,
        ctx: ActionContext,
        id: Annotated[str, Field(description="The approval's id.")],
        scope: Annotated[str, Field(pattern="^(once|turn)$", description='"once", or "turn" for its rest.')] = "once",
    ) -> str:
        """Approve a waiting action, for this once or for the rest of its turn."""
        approval = await self._waiting(ctx, id)
        env = self._env()
        now_ms = env.clock.now_ms()

        def write(conn: Any) -> None:
            if not give(conn, approval, scope, str(ctx.principal), now_ms):
                raise ActionFailed(f"The approval {id} is not waiting any more.")

        ctx.write(write)
        return f"Approved: {approval.envelope.type}."

    @action(name="core_deny", effect="local", permission="trainer", command="deny", model=False, passes_lanes=True)
    async def deny(self, ctx: ActionContext, id: Annotated[str, Field(description="The approval's id.")]) -> str:
        """Deny a waiting action."""
        approval = await self._waiting(ctx, id)
        now_ms = self._env().clock.now_ms()

        def write(conn: Any) -> None:
            if not approvals.decide(conn, id, "denied", "", str(ctx.principal), now_ms):
                raise ActionFailed(f"The approval {id} is not waiting any more.")
            approvals.refuse(conn, approval, f"Denied by {ctx.principal}.", now_ms)

        ctx.write(write)
        lane = Address.parse(approval.lane)
        there = self._env().outgoing.interfaces().get(lane.interface)
        if lane != ctx.address and there is not None and there.for_people:
            ctx.send(f"A trainer has denied {approval.envelope.type}.", to=lane)
        return f"Denied: {approval.envelope.type}."

    async def _waiting(self, ctx: ActionContext, approval_id: str) -> Approval:
        """Return an approval that this principal may decide on; says nothing of those that they may not."""
        env = self._env()
        approval = await env.database.read(lambda conn: approvals.find(conn, approval_id))
        if approval is None or not approval.may_be_given_by(ctx.principal, ctx.role):
            raise ActionFailed(f"There is no approval {approval_id} that you could decide on.")
        if approval.state != "waiting" or approval.expires_at_ms <= env.clock.now_ms():
            state = "expired" if approval.state == "waiting" else approval.state
            raise ActionFailed(f"The approval {approval_id} is not waiting any more: it is {state}.")
        return approval
