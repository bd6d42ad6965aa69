"""What `@name` in somebody's own words stands for, asked of the plugin that provides it."""

from __future__ import annotations

import asyncio
import re
from functools import partial

import structlog

from core.contracts.actions import Untrusted
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Origin
from core.contracts.slots import Mention
from core.services.foreign import Behalf, Raised
from core.services.sync_or_async import invoke
from core.turn.environment import TurnEnvironment

log = structlog.get_logger("rekku.plugins")

RESOLVING_S = 5.0
MOST_MENTIONS = 5
_MENTIONED = re.compile(r"(?<![\w@.])@([^\W_][\w-]{0,39})")


async def resolve_mentions(context: TurnContext, env: TurnEnvironment) -> dict[str, str | Untrusted]:
    """Return what travels with the words of a turn, by plugin and name; a name that nobody knows is left alone."""
    mentions = [(plugin, spec) for plugin, spec in env.slots.of("mentions", Mention) if spec.is_for(context.role)]
    known = {spec.name.casefold(): (plugin, spec) for plugin, spec in mentions}
    if not known or "@" not in context.text or context.origin is not Origin.USER:
        return {}
    names = dict.fromkeys(name.casefold() for name in _MENTIONED.findall(context.text))
    asked = [known[name] for name in names if name in known][:MOST_MENTIONS]
    texts = await asyncio.gather(*(_resolved(context, env, plugin, spec) for plugin, spec in asked))
    return {
        f"{plugin} @{spec.name}": text for (plugin, spec), text in zip(asked, texts, strict=True) if text is not None
    }


async def _resolved(context: TurnContext, env: TurnEnvironment, plugin: str, spec: Mention) -> str | Untrusted | None:
    label = f"{plugin} @{spec.name}"
    resolve, behalf = partial(invoke, spec.resolve, context, spec.name), Behalf.of(context)
    answer = await env.foreign.call(label, resolve, RESOLVING_S, plugin, behalf=behalf)
    if isinstance(answer, Raised):
        log.warning("a mention could not be resolved", plugin=plugin, mention=spec.name, error=answer.sentence)
        return None
    said = answer.value
    if isinstance(said, Untrusted):
        return Untrusted(f"@{spec.name}: {said.text}")
    return f"@{spec.name}: {said}" if isinstance(said, str) and said else None
