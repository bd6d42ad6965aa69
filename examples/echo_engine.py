"""An engine without a model: it says again what was said, or asks for an action that is written out.

`REKKU_ENGINE=echo_engine,offline`; the file lies in REKKU_HOME/engines/.
"""

from __future__ import annotations

import json

from pydantic import BaseModel, Field

from core.contracts.deliveries import Health
from core.contracts.engine import EngineCapabilities, EngineReply, EngineRequest, Source
from core.contracts.errors import EngineUnavailable
from core.engine_base import EngineBase


class EchoEngine(EngineBase):
    """Says again what was said."""

    class Config(BaseModel):
        """`[engines.echo_engine]`."""

        prefix: str = Field(default="You said: ", description="What stands before what was said.")
        away: bool = Field(default=False, description="It does not answer, so that the next of a chain is asked.")

    config: Config

    @property
    def capabilities(self) -> EngineCapabilities:
        """It cannot write freely, so summaries are not asked of it."""
        return EngineCapabilities(language_model=False)

    @property
    def model(self) -> str:
        """The name that its replies carry."""
        return "echo-1"

    async def models(self) -> list[str]:
        """Return the one there is."""
        return [self.model]

    async def complete(self, request: EngineRequest) -> EngineReply:
        """Answer the last words of the principal; an action's outcome is told as it is."""
        if self.config.away:
            cure = "Set away = false in [engines.echo_engine]."
            raise EngineUnavailable("The echo is away.", cure=cure, retryable=False)
        if request.messages and request.messages[-1].source is Source.OUTCOMES:
            text = request.messages[-1].content
        else:
            said = [one.content for one in request.messages if one.source is Source.PRINCIPAL]
            text = f"{self.config.prefix}{said[-1] if said else 'nothing'}"
        reply = {"actions": [{"type": "message", "payload": {"text": text}}]}
        return EngineReply(text=json.dumps(reply, ensure_ascii=False), model=self.model)

    async def health(self) -> Health:
        """Tell whether it answers."""
        return Health(ok=not self.config.away)


PLUGIN_CLASS = EchoEngine
