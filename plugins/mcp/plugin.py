"""The plugin: servers side by side, their tools as actions, and two commands for whoever runs Rekku."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from core.ai_plugin_base import AIPluginBase, Untrusted, action
from core.contracts.deliveries import Health
from core.contracts.errors import ActionFailed, DeclarationError
from core.contracts.json import Json, JsonObject
from plugins.mcp.config import McpConfig
from plugins.mcp.foreign_text import LONGEST_REASON, one_line
from plugins.mcp.offered import Listed, Offer, offers_of
from plugins.mcp.pins import Pins, prints_of
from plugins.mcp.results import result_of
from plugins.mcp.server import McpServer
from plugins.mcp.transports import sdk

FIRST_TRIES_S = 5.0
"""How long a start waits for servers: those that are there by then have their tools in the first prompt."""


class Mcp(AIPluginBase):
    """Offers the tools of MCP servers as actions."""

    class Config(McpConfig):
        """`[plugins.mcp]`."""

    config: McpConfig

    def __init__(self) -> None:
        self._servers: dict[str, McpServer] = {}
        self._listings: dict[str, Listed] = {}
        self._offers: dict[str, Offer] = {}
        self._refused: dict[str, str] = {}
        self._publishing = asyncio.Lock()

    async def start(self) -> None:
        """Connect to every server, side by side; one that is away is tried again in the background."""
        configured = {name: config for name, config in self.config.servers.items() if config.enabled}
        if not configured:
            return
        await asyncio.to_thread(sdk)
        self._pins = Pins(self.context.kv)
        for name, config in configured.items():
            self._servers[name] = McpServer(name, config, clock=self.context.clock, told=self._told, said=self._said)
        for server in self._servers.values():
            server.start()
        tries = [asyncio.ensure_future(server.first_try.wait()) for server in self._servers.values()]
        await asyncio.wait(tries, timeout=FIRST_TRIES_S)
        for trying in tries:
            trying.cancel()

    async def stop(self) -> None:
        """Disconnect from every server; programs that were started are ended."""
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        self._servers, self._listings, self._offers, self._refused = {}, {}, {}, {}

    async def health(self) -> Health:
        """Tell which servers are away; it works as long as one is there."""
        away = [f"{s.name} is away ({s.reason})" for s in self._servers.values() if not s.connected]
        held = sorted({offer.server for offer in self._offers.values() if "/mcp_accept" in offer.left_out})
        detail = "; ".join([*away, *(f"{name} has tools that wait for /mcp_accept {name}" for name in held)])
        if not away:
            return Health(ok=True, detail=detail)
        return Health(ok=len(away) < len(self._servers), detail=detail, cure="They are tried again by themselves.")

    async def examine(self) -> Health | None:
        """Tell whether the SDK and the programs are there; no server is started or asked."""
        configured = {name: config for name, config in self.config.servers.items() if config.enabled}
        if not configured:
            return None
        await asyncio.to_thread(sdk)
        missing = [
            f"{name}: there is no program {config.command}"
            for name, config in configured.items()
            if config.command and not _is_program(config.command)
        ]
        if missing:
            return Health(ok=False, detail="; ".join(missing), cure="Install it, or correct its command.")
        return Health(ok=True, detail=f"servers: {', '.join(sorted(configured))}")

    @action(effect="read", permission="trainer", command="mcp", model=False, reads_outside=True)
    async def mcp_list(self) -> str:
        """List the MCP servers and their tools, with what is left out and why."""
        if not self._servers:
            return "No MCP server is configured. They stand in rekku.toml as `[plugins.mcp.servers.NAME]`."
        lines = []
        for name, server in sorted(self._servers.items()):
            lines.append(f"**{name}**: {'connected' if server.connected else f'away ({_quoted(server.reason)})'}")
            for offer in self._offers.values():
                if offer.server != name:
                    continue
                if offer.declaration is None:
                    lines.append(f"- {_quoted(offer.tool)}: left out, {_quoted(offer.left_out)}")
                else:
                    what = f"{offer.declaration['effect']}, {offer.declaration['permission']}"
                    lines.append(f"- `{offer.type}` ({what}): {_quoted(offer.declaration['description'])}")
        return "\n".join(lines)

    @action(effect="external", permission="trainer", command="mcp_accept", model=False)
    async def mcp_accept(self, server: str) -> str:
        """Take the tools of an MCP server as they are now, those that are new or have changed included."""
        listed = self._listings.get(server)
        if listed is None:
            known = ", ".join(sorted(self._listings)) or "none"
            raise ActionFailed(f"No tools of a server {one_line(server, 40)} are known.", cure=f"Known: {known}.")
        await self._pins.accept(server, listed.config, prints_of(listed.tools))
        await self._take(Listed(server=server, config=listed.config, tools=listed.tools, held=frozenset()))
        return f"The tools of {server} are taken as they are now. /mcp lists them."

    def get_supported_actions(self) -> dict[str, JsonObject]:
        """Return the two commands, and the tools that are offered now."""
        offered = {o.type: o.declaration for o in self._offers.values() if o.declaration is not None}
        return {**super().get_supported_actions(), **offered}

    def get_prompt_instructions(self, action_name: str) -> JsonObject:
        """Return what is said of an action."""
        offer = self._offers.get(action_name)
        if offer is None or offer.declaration is None:
            return super().get_prompt_instructions(action_name)
        return {"description": offer.declaration["description"], "payload": {}}

    def validate_payload(self, action_type: str, payload: JsonObject) -> list[str]:
        """Refuse a field that must be JSON text and is none."""
        offer = self._offers.get(action_type)
        if offer is None or offer.arguments is None:
            return []
        try:
            offer.arguments.of(payload)
        except ValueError as error:
            return [str(error)]
        return []

    async def handle_custom_action(self, action_type: str, payload: JsonObject) -> Json | Untrusted:
        """Call the tool of an action."""
        offer = self._offers.get(action_type)
        if offer is None:
            return await super().handle_custom_action(action_type, payload)
        server = self._servers.get(offer.server)
        if server is None or offer.arguments is None:
            raise ActionFailed(f"{action_type} is not offered any more.")
        return result_of(await server.call(offer.tool, offer.arguments.of(payload)), offer.server)

    async def _told(self, server: McpServer, tools: list[Any]) -> None:
        """Take a listing: hold back what is new or different, and offer the rest."""
        held = await self._pins.held(server.name, server.config, prints_of(tools))
        await self._take(Listed(server=server.name, config=server.config, tools=tuple(tools), held=held))

    async def _take(self, listed: Listed) -> None:
        async with self._publishing:
            before, self._listings[listed.server] = self._listings.get(listed.server), listed
            if before is not None and _same(before, listed):
                return
            self._refused = {}
            # The core says which action it does not take, one at a time: each such tool is left out, not the rest.
            for _ in range(1 + sum(len(each.tools) for each in self._listings.values())):
                offers = offers_of(self._listings.values(), self._refused)
                self._offers = {offer.type: offer for offer in offers}
                try:
                    await self.context.actions_changed()
                    break
                except DeclarationError as error:
                    self._leave_out(error)
            self._report(listed.server)

    def _leave_out(self, error: DeclarationError) -> None:
        said = str(error)
        for type_ in self._offers:
            if type_ not in self._refused and said.startswith(f"{self.context.name}.{type_}:"):
                self._refused[type_] = one_line(said.partition(":")[2], LONGEST_REASON)
                return
        raise error

    def _report(self, server: str) -> None:
        mine = [offer for offer in self._offers.values() if offer.server == server]
        left_out = {offer.tool: offer.left_out for offer in mine if offer.left_out}
        self.context.log.info("MCP tools", server=server, offered=len(mine) - len(left_out))
        for tool, why in left_out.items():
            if "off by configuration" not in why:
                self.context.log.warning("an MCP tool is left out", server=server, tool=tool, reason=why)

    def _said(self, server: str, line: str) -> None:
        self.context.log.debug("an MCP server says", server=server, line=line)


def _same(one: Listed, other: Listed) -> bool:
    return one.held == other.held and prints_of(one.tools) == prints_of(other.tools)


def _quoted(text: str) -> str:
    """Return foreign text so that it is no markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#" else c for c in text)


def _is_program(command: str) -> bool:
    return shutil.which(command) is not None or Path(command).is_file()
