"""How many bytes a server is sent for "ping"."""

from __future__ import annotations

from pathlib import Path

from benchmarks.chats import Chats
from benchmarks.figures import Figure
from benchmarks.installation import installation
from tests.support.model_server import ModelServer

LARGEST_PING = 4_096


async def prompt_size(directory: Path) -> list[Figure]:
    """Count the bytes of the whole request, schema included, in the first turn of a trainer."""
    figures = []
    for mode in ("json_schema", "json_object", "prompt"):
        chats = Chats()
        async with ModelServer() as server, installation(directory / mode, server.base_url, chats, mode=mode):
            await chats.say("ping", "ping")
            size = len(server.requests[0].raw)
        figures.append(Figure(name=f'request for "ping", {mode}', value=size, unit="bytes", at_most=LARGEST_PING))
    return figures
