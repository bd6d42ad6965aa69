"""What a plugin in a process of its own asks of other plugins and of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.contracts.actions import Untrusted
from core.contracts.engine import EngineReply
from core.contracts.inputs import Principal
from core.contracts.json import Json, JsonObject
from core.isolation.outside import cannot_cross
from core.isolation.peer import Peer


@dataclass(frozen=True, slots=True)
class ChildServices:
    """The plugin's `Services`: calls cross, objects do not."""

    peer: Peer

    async def call_plugin(self, name: str, action: str, payload: JsonObject) -> Json:
        """Run an action of another plugin inside of the one that is running; raises ActionFailed."""
        return await self.peer.call("call_plugin", name, action, payload)

    def __getattr__(self, part: str) -> Any:
        cannot_cross(
            f"self.context.services.{part}",
            "Services are objects: have the other plugin declare an action, and call it with call_plugin, or answer "
            'events with request. Or run the plugin with isolation = "none".',
        )


@dataclass(frozen=True, slots=True)
class ChildEngines:
    """The plugin's `PluginEngines`."""

    peer: Peer

    async def ask(
        self,
        messages: str | Untrusted | Sequence[str | Untrusted],
        *,
        instructions: str = "",
        principal: Principal | None = None,
        engine: str = "",
        model: str = "",
        temperature: float | None = None,
        max_output_tokens: int | None = None,
        timeout_s: float = 60.0,
    ) -> EngineReply:
        """Ask a model; see `core.contracts.services.PluginEngines`."""
        given = messages if isinstance(messages, str | Untrusted) else list(messages)
        reply: EngineReply = await self.peer.call(
            "engines.ask",
            given,
            {
                "instructions": instructions,
                "principal": principal,
                "engine": engine,
                "model": model,
                "temperature": temperature,
                "max_output_tokens": max_output_tokens,
                "timeout_s": timeout_s,
            },
        )
        return reply
