"""What `@name` in somebody's own words stands for, asked of the plugin that provides it."""

from __future__ import annotations

import asyncio
import re
from functools import partial

import structlog

from core.contracts.actions import Untrusted
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Origin, Role
from core.contracts.json import storable
from core.contracts.slots import Mention
from core.services.foreign import Behalf, Raised
from core.services.sync_or_async import invoke
from core.turn.environment import TurnEnvironment

log = structlog.get_logger("rekku.plugins")

RESOLVING_S = 5.0
MOST_MENTIONS = 5

# Neither inside a word, an address or a path, nor with one going on behind it.
_MENTIONED = re.compile(r"(?<![\w@.+/%-])@([^\W_](?:[\w-]{0,38}\w)?)(?![\w@]|[.-]\w)")
_BACKTICKS = re.compile(r"`+")
_FENCE = 3


def mentions_of(env: TurnEnvironment, role: Role) -> dict[str, str]:
    """Return the names that somebody of a role may mention, name to description."""
    specs = [spec for _, spec in env.slots.of("mentions", Mention) if spec.is_for(role)]
    return {spec.name: spec.description for spec in sorted(specs, key=lambda spec: spec.name)}


def names_in(words: str) -> list[str]:
    """Return the names that are mentioned, in lower case, each once; what stands in code is none."""
    return list(dict.fromkeys(name.casefold() for name in _MENTIONED.findall(_without_code(words))))


async def resolve_mentions(context: TurnContext, words: str, env: TurnEnvironment) -> dict[str, str | Untrusted]:
    """Return what travels with the words of a turn, by plugin and name; a name that nobody knows is left alone.

    words: the principal's own, as they were received.
    """
    mentions = [(plugin, spec) for plugin, spec in env.slots.of("mentions", Mention) if spec.is_for(context.role)]
    known = {spec.name.casefold(): (plugin, spec) for plugin, spec in mentions}
    if not known or "@" not in words or context.origin is not Origin.USER:
        return {}
    asked = [known[name] for name in names_in(words) if name in known][:MOST_MENTIONS]
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
        return Untrusted(storable(f"@{spec.name}: {said.text}"))
    return storable(f"@{spec.name}: {said}") if isinstance(said, str) and said else None


def _without_code(text: str) -> str:
    """Return CommonMark without what stands between backticks; a fence that stays open goes to the end."""
    runs = list(_BACKTICKS.finditer(text))
    closing, next_of_length = [0] * len(runs), dict[int, int]()
    for index in range(len(runs) - 1, -1, -1):
        length = len(runs[index].group())
        closing[index], next_of_length[length] = next_of_length.get(length, 0), index
    kept, begin, index = [], 0, 0
    while index < len(runs):
        run, end = runs[index], closing[index]
        if end:
            kept.append(text[begin : run.start()])
            begin, index = runs[end].end(), end + 1
        elif len(run.group()) >= _FENCE and not text[text.rfind("\n", 0, run.start()) + 1 : run.start()].strip():
            return " ".join((*kept, text[begin : run.start()]))
        else:
            index += 1
    return " ".join((*kept, text[begin:]))
