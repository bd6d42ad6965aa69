"""From what the servers tell to the declarations of actions: what is offered, and what is left out and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.contracts.json import JsonObject
from plugins.mcp.action_names import action_types
from plugins.mcp.config import ServerConfig, ToolConfig
from plugins.mcp.foreign_text import described, one_line
from plugins.mcp.input_schema import Arguments, SchemaUnusable, arguments_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One server's last listing. held: the names of tools that wait for a trainer's word."""

    server: str
    config: ServerConfig
    tools: tuple[Any, ...]
    held: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One tool of one server. left_out: why it is no action, or ""."""

    server: str
    tool: str
    type: str
    arguments: Arguments | None = None
    declaration: JsonObject | None = None
    left_out: str = ""


def offers_of(listings: Iterable[Listed], refused: Mapping[str, str]) -> list[Offer]:
    """Return an offer a tool, by type. refused: action types that the core does not take, and why."""
    listings = sorted(listings, key=lambda listed: listed.server)
    types = action_types((listed.server, tool.name) for listed in listings for tool in listed.tools)
    offers: dict[str, Offer] = {}
    for listed in listings:
        for tool in listed.tools:
            type_ = types[listed.server, tool.name]
            if type_ not in offers:
                offers[type_] = _offer(listed, tool, type_, refused.get(type_, ""))
    return [offers[type_] for type_ in sorted(offers)]


def _offer(listed: Listed, tool: Any, type_: str, refused: str) -> Offer:
    config = listed.config.tools.get(tool.name, ToolConfig())
    name = one_line(tool.name, 80)

    def left_out(why: str) -> Offer:
        return Offer(server=listed.server, tool=name, type=type_, left_out=why)

    if not config.enabled:
        return left_out("off by configuration")
    if tool.name in listed.held:
        return left_out(f"new or changed since it was accepted: /mcp_accept {listed.server} takes it")
    if refused:
        return left_out(refused)
    try:
        arguments = arguments_of(tool.input_schema)
    except SchemaUnusable as error:
        return left_out(f"{error}")
    effect = config.effect or listed.config.effect
    declaration: JsonObject = {
        "description": config.description or described(listed.server, tool.name, tool.description or tool.title),
        "schema": arguments.schema,
        "permission": config.permission or listed.config.permission,
        "effect": effect,
        "timeout_s": listed.config.timeout_s,
        "returns_output": True,
        "reads_outside": True,
        "display": {"verb": "calls"},
    }
    return Offer(server=listed.server, tool=tool.name, type=type_, arguments=arguments, declaration=declaration)
