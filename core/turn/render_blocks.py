"""Blocks of an outgoing message that a plugin shows in its own way: what stands after ```` ```NAME ````."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog

from core.contracts.deliveries import Delivery
from core.contracts.hooks import TurnContext
from core.contracts.json import storable
from core.contracts.slots import MessageRenderer
from core.own_thread import in_own_thread
from core.services.foreign import Behalf, ForeignCalls, Raised
from core.services.slots import Slots
from core.services.sync_or_async import invoke

log = structlog.get_logger("rekku.plugins")

RENDERING_S = 5.0
MOST_BLOCKS = 10
"""Of one message that are rendered; further ones stay as they are."""
LONGEST_RENDERED = 32 * 1024
LONG_TEXT = 8192
"""From this many characters on, reading a text is no work for the event loop: it would hold up the other chats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A fenced block. first, end: its lines, fences included, as a slice. name: the first word after the fence."""

    first: int
    end: int
    name: str
    text: str


async def render_blocks(turn: TurnContext, delivery: Delivery, slots: Slots, foreign: ForeignCalls) -> str:
    """Return the text of a delivery with the blocks that plugins render; one that cannot be stays as it is."""
    text = delivery.text
    renderers = {
        spec.name: (plugin, spec)
        for plugin, spec in slots.of("renderers", MessageRenderer)
        if not spec.interfaces or delivery.address.interface in spec.interfaces
    }
    if not renderers or ("```" not in text and "~~~" not in text):
        return text
    if len(text) <= LONG_TEXT:
        found = _blocks(text)
    else:
        found = await in_own_thread(lambda: _blocks(text), "blocks of a message")
    # Lines as CommonMark counts them: other breaks are none.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    changed = False
    for block in reversed([one for one in found if one.name in renderers][:MOST_BLOCKS]):
        plugin, spec = renderers[block.name]
        rendered = await _rendered(turn, plugin, spec, block.text, foreign)
        if rendered is not None:
            # Apart from its neighbours, or it would go on with their paragraphs.
            above = [""] if block.first and lines[block.first - 1].strip() else []
            below = [""] if block.end < len(lines) and lines[block.end].strip() else []
            lines[block.first : block.end] = [*above, rendered.strip("\n"), *below]
            changed = True
    made = "\n".join(lines)
    return made if changed and made.strip() else text


async def _rendered(
    turn: TurnContext, plugin: str, spec: MessageRenderer, text: str, foreign: ForeignCalls
) -> str | None:
    render = partial(invoke, spec.render, turn, text)
    answer = await foreign.call(f"{plugin} renders {spec.name}", render, RENDERING_S, plugin, behalf=Behalf.of(turn))
    if isinstance(answer, Raised):
        wrong = answer.sentence
    elif answer.value is None:
        return None
    elif not isinstance(answer.value, str):
        wrong = f"It returned a {type(answer.value).__name__}, not a text or None."
    elif len(answer.value) > LONGEST_RENDERED:
        wrong = f"It returned {len(answer.value)} characters, and {LONGEST_RENDERED} are the most."
    else:
        return storable(answer.value)
    log.warning("a block could not be rendered", plugin=plugin, renderer=spec.name, error=wrong)
    return None


def _blocks(text: str) -> list[_Block]:
    """Return the fenced blocks that stand in nothing else, in their order."""
    from markdown_it import MarkdownIt

    found = []
    for token in MarkdownIt("commonmark").parse(text):
        words = token.info.split()
        if token.type == "fence" and token.level == 0 and token.map and words:
            found.append(_Block(first=token.map[0], end=token.map[1], name=words[0].lower(), text=token.content))
    return found
