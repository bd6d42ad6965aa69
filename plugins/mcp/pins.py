"""What each server was first seen to offer: a tool that is new or different since is held back. See docs/mcp.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from core.contracts.json import JsonObject, compact
from core.contracts.services import KeyValueStore
from plugins.mcp.config import ServerConfig


def fingerprint(tool: Any) -> str:
    """Return what changes with whatever a server says of a tool that could reach the prompt or a call."""
    annotations = tool.annotations.model_dump(mode="json") if tool.annotations is not None else None
    said = compact([tool.name, tool.title, tool.description, tool.input_schema, annotations])
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()


def identity(config: ServerConfig) -> str:
    """Return what changes when the operator means another server by the name."""
    return hashlib.sha256(compact([config.command, config.args, config.url]).encode()).hexdigest()


class Pins:
    """The fingerprints of the tools of each server that may be used, in the plugin's key-value store."""

    def __init__(self, kv: KeyValueStore) -> None:
        self._kv = kv

    async def held(self, server: str, config: ServerConfig, seen: Mapping[str, str]) -> frozenset[str]:
        """Return the tools that wait for a trainer's word, of those `seen` (name to fingerprint).

        What a server offers when it is first seen is taken: the operator has named it.
        """
        stored = await self._kv.get(_key(server))
        if not isinstance(stored, dict) or stored.get("identity") != identity(config):
            await self.accept(server, config, seen)
            return frozenset()
        known: JsonObject = stored.get("tools", {})
        return frozenset(name for name, print_ in seen.items() if known.get(name) != print_)

    async def accept(self, server: str, config: ServerConfig, seen: Mapping[str, str]) -> None:
        """Take what a server offers now."""
        await self._kv.set(_key(server), {"identity": identity(config), "tools": dict(seen)})


def prints_of(tools: Iterable[Any]) -> dict[str, str]:
    """Return name to fingerprint; of two tools of one name, the first counts."""
    prints: dict[str, str] = {}
    for tool in tools:
        prints.setdefault(tool.name, fingerprint(tool))
    return prints


def _key(server: str) -> str:
    return f"pins.{server}"
