"""What `/status` tells: engine and model, the prompt's sections, what waits."""

from __future__ import annotations

import asyncio

from core.contracts.actions import ActionContext
from core.contracts.inputs import Input, InputKind
from core.contracts.prompts import Prompt
from core.contracts.slots import StatusSegment
from core.counted import counted
from core.services import history, inbox, ledger, outbox
from core.services.foreign import Behalf, Raised
from core.services.sync_or_async import invoke
from core.turn.environment import TurnEnvironment
from core.turn.gather import CatalogueTextCache, gather
from core.turn.stages.build_prompt import build_prompt
from core.turn.state import Turn

SEGMENT_S = 2.0
LONGEST_SEGMENT = 200


async def status_text(env: TurnEnvironment, lane: str, ctx: ActionContext) -> str:
    """Return the status of the conversation in `lane`, in CommonMark."""
    now_ms = env.clock.now_ms()
    session = await env.database.transact(lambda conn: history.open_session(conn, lane, now_ms))
    usage, waiting, letters = await env.database.read(
        lambda conn: (ledger.last_usage(conn, session.id), inbox.count_open(conn), outbox.counts(conn))
    )
    turn = Turn(
        id=-1,
        input=Input(kind=InputKind.MESSAGE, principal=ctx.principal, address=ctx.address, dedupe_key="status"),
        lease=inbox.Lease(input_id=0, owner="", epoch=0),
        session=session,
        role=ctx.role,
        resumed=0,
        received_at_ms=now_ms,
    )
    prompt = build_prompt(await gather(turn, env, env.generation(), CatalogueTextCache()))
    chain = env.engines.chain(session.engine)
    engine = " then ".join(handle.name for handle in chain) or "none"
    model = session.model or (chain[0].engine.model if chain else "")
    lines = [f"**Engine** {engine}" + (f", model {model}" if model else ""), "", *_sections(env, model, prompt)]
    lines += await _segments(env, Behalf(principal=str(ctx.principal), turn=f"turn-{ctx.turn_id}"))
    lines += await _unwell(env)
    if usage is not None:
        lines += ["", _usage(usage)]
    dead = letters.get("dead", 0)
    lines += [
        "",
        f"**Waiting**: {waiting - 1} in the inbox, {letters.get('waiting', 0) + letters.get('sending', 0)} in the "
        f"outbox; {counted(dead, 'dead letter')}.",
    ]
    return "\n".join(lines)


async def _segments(env: TurnEnvironment, behalf: Behalf) -> list[str]:
    """Return the lines that plugins add; one that fails or is late says so."""
    segments = env.slots.of("status", StatusSegment)

    async def line(plugin: str, segment: StatusSegment) -> str:
        label = f"status of {plugin}"

        async def text_of() -> str:
            # How a value of foreign code says itself is foreign code too.
            return str(await invoke(segment.text) or "")

        said = await env.foreign.call(label, text_of, SEGMENT_S, plugin, behalf=behalf)
        text = f"({said.sentence})" if isinstance(said, Raised) else said.value
        short = _short(env, text)
        return f"**{plugin}**: {short}" if short else ""

    lines = await asyncio.gather(*(line(plugin, segment) for plugin, segment in segments))
    return [row for each in lines if each for row in ("", each)]


async def _unwell(env: TurnEnvironment) -> list[str]:
    """Return a line for each check of a plugin's that is not well."""
    told = [(one.name, one.health.sentence) for one in await env.checks.answers() if not one.health.ok]
    lines = [f"**{name}** is not well: {_short(env, sentence)}" for name, sentence in told]
    return [row for line in lines for row in ("", line)]


def _short(env: TurnEnvironment, text: str) -> str:
    return " ".join(env.masker.text(text).split())[:LONGEST_SEGMENT]


def _sections(env: TurnEnvironment, model: str, prompt: Prompt) -> list[str]:
    total = sum(prompt.shares.values()) or 1
    lines = [f"**Prompt** about {env.tokens.of_bytes(model, total)} tokens ({total} bytes)", ""]
    for name, size in prompt.shares.items():
        if size:
            lines.append(f"- {name}: {env.tokens.of_bytes(model, size)} tokens, {100 * size // total} %")
    if prompt.tainted:
        lines.append("- it holds text from others or from outside (tainted)")
    return lines


def _usage(usage: dict[str, object]) -> str:
    if usage["prompt_tokens"] is None:
        return f"**Last call** {usage['engine']} {usage['model']}: the server did not report its tokens."
    return (
        f"**Last call** {usage['engine']} {usage['model']}: {usage['prompt_tokens']} tokens in "
        f"({usage['cached_tokens'] or 0} from the cache), {usage['completion_tokens']} out."
    )
