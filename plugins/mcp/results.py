"""What a tool returned, as text from outside, or as the reason why it failed. Pure."""

from __future__ import annotations

import json
from typing import Any

from core.ai_plugin_base import Untrusted
from core.contracts.errors import ActionFailed
from plugins.mcp.foreign_text import LONGEST_REASON, one_line

LONGEST_RESULT = 50_000
MOST_BLOCKS = 200
NOTHING = "It was done and returned nothing."


def result_of(result: Any, server: str) -> Untrusted:
    """Return the text of a `CallToolResult`; raises ActionFailed when it says that the tool failed."""
    blocks = list(result.content)[:MOST_BLOCKS]
    text = "\n\n".join(filter(None, map(_block, blocks)))
    if not text and result.structured_content is not None:
        text = json.dumps(result.structured_content, ensure_ascii=False)
    if result.is_error:
        raise ActionFailed(
            f"The MCP server {server} says that it failed: {one_line(text, LONGEST_REASON) or 'no reason'}"
        )
    if len(text) > LONGEST_RESULT:
        text = f"{text[:LONGEST_RESULT]}\n(cut: {len(text)} characters in all)"
    return Untrusted(text or NOTHING)


def _block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            article = "an" if block.type[0] in "aeiou" else "a"
            return f"({article} {block.type}, {one_line(block.mime_type, 60)}, {_bytes(block.data)}, not shown)"
        case "resource_link":
            return f"(a link: {one_line(block.name, 100)}, {one_line(block.uri, 500)})"
        case "resource":
            resource = block.resource
            if getattr(resource, "text", None) is not None:
                return str(resource.text)
            kind = one_line(resource.mime_type or "of no stated type", 60)
            return f"(a file: {one_line(resource.uri, 500)}, {kind}, {_bytes(resource.blob)}, not shown)"
        case _:
            return "(something that cannot be shown)"


def _bytes(encoded: str) -> str:
    return f"{len(encoded) * 3 // 4} bytes"
