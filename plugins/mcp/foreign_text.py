"""Text of a server on its way into the prompt or to a person: on one line, printable and short. Pure."""

from __future__ import annotations

LONGEST_DESCRIPTION = 300
LONGEST_FIELD = 160
LONGEST_REASON = 500


def one_line(text: object, longest: int) -> str:
    """Return a text without control and format characters, its blanks joined, cut at `longest` characters."""
    words = "".join(c if c.isprintable() else " " for c in str(text)[: 20 * longest]).split()
    line = " ".join(words)
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def described(server: str, tool: str, text: str | None) -> str:
    """Return what the model is told of a tool, marked as the words of its server."""
    said = one_line(text or "", LONGEST_DESCRIPTION).replace('"', "'")
    name = one_line(tool, 80).replace('"', "'")
    return f'Tool "{name}" of the MCP server {server}, ' + (
        f'which says of it: "{said}"' if said else "which says nothing of it."
    )
