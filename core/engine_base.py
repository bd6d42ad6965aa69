"""The base of every engine: an adapter to one language model."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from core.contracts.deliveries import Health
from core.contracts.engine import EngineCapabilities, EngineReply, EngineRequest
from core.contracts.services import PluginContext


class EngineBase:
    """`EngineRequest` in, `EngineReply` out. `engines/<name>.py` exports `PLUGIN_CLASS`.

    `context` and `config` are set before `start`. Heavy SDKs are imported in `start`, not with the module.
    """

    auto_rank: ClassVar[int | None] = None
    """Where the choice `auto` tries this engine, lower first, if it is configured; None: never by itself."""

    name: str = ""
    context: PluginContext
    config: BaseModel

    class Config(BaseModel):
        """The keys of `[engines.NAME]`."""

    @property
    def capabilities(self) -> EngineCapabilities:
        """What the model that is in use can do, as far as is known by now."""
        return EngineCapabilities()

    @property
    def model(self) -> str:
        """The model that is used where a request names none."""
        return ""

    @classmethod
    def configured(cls, config: BaseModel) -> str:
        """Return "" when there is enough configuration to start, else what is missing."""
        return ""

    async def start(self) -> None:
        """Get ready to answer; may import what is heavy. Not called before the engine is needed."""

    async def complete(self, request: EngineRequest) -> EngineReply:
        """Ask the model once; raises EngineTimeout, EngineUnavailable or EngineRefused."""
        raise NotImplementedError

    async def models(self) -> list[str]:
        """Return the models that can be chosen, or an empty list."""
        return []

    async def stop(self) -> None:
        """Let go of connections."""

    async def health(self) -> Health:
        """Tell whether the model can be reached, without using it up."""
        return Health(ok=True)
