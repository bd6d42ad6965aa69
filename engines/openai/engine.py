"""The engine `openai`: one Chat Completions call for one `EngineRequest`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel

from core.contracts.deliveries import Health
from core.contracts.engine import EngineCapabilities, EngineReply, EngineRequest
from core.contracts.errors import EngineError, EngineUnavailable
from core.engine_base import EngineBase
from engines.openai.completion import not_this_api, read_completion, read_object
from engines.openai.config import Mode, OpenAIConfig
from engines.openai.enforced_shape import could_be_enforced
from engines.openai.failures import Answer, concerns_format, failure
from engines.openai.modes import Modes
from engines.openai.request_body import RequestBody, request_body

if TYPE_CHECKING:
    from engines.openai.connection import Connection

HEALTH_TIMEOUT_S = 5.0
LIST_TIMEOUT_S = 15.0
NO_LIST = (404, 405, 501)
"""Statuses of servers that answer but list no models."""


class OpenAIEngine(EngineBase):
    """Any OpenAI-compatible server. Deadlines over all, retries and fallback are the caller's.

    Replies are not streamed: nobody sees half a reply, and the caller's deadline covers a server that drips.
    """

    name = "openai"
    auto_rank: ClassVar[int | None] = 10
    config: OpenAIConfig

    class Config(OpenAIConfig):
        """The keys of `[engines.openai]`."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._modes: Modes | None = None
        self._discovered = ""

    @property
    def capabilities(self) -> EngineCapabilities:
        """What the configured model can do; JSON Schema until the server turns out not to take it."""
        enforces = self._modes is not None and self._modes.enforces_schema(self.model)
        return EngineCapabilities(json_schema=enforces, context_tokens=self.config.context_tokens)

    @property
    def model(self) -> str:
        """The configured model, or the server's first once it was asked."""
        return self.config.known_model or self._discovered

    @classmethod
    def configured(cls, config: BaseModel) -> str:
        """Return "" when there is a key or a server, else what is missing."""
        if isinstance(config, OpenAIConfig) and (config.api_key is not None or config.base_url is not None):
            return ""
        return "OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own, is not set"

    async def start(self) -> None:
        """Import the SDK (half a second, in a thread) and get connections ready; none is opened yet."""
        if self._connection is not None:
            return
        self._modes = Modes(self.config, self.context.kv, self.context.clock, self.context.log)
        self._connection = await asyncio.to_thread(_connection, self.config.server, self._key)
        if self.model:
            await self._modes.load(self.model)

    async def stop(self) -> None:
        """Close the connections."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def complete(self, request: EngineRequest) -> EngineReply:
        """Ask once; where the server refuses the response format, at once again with the next weaker one."""
        connection, modes = self._started()
        model = request.model or self.model or await self._discover(request.timeout_s)
        refused: list[Mode] = []
        for mode in await modes.usable(model, has_schema=request.response_schema is not None):
            body = request_body(request, model=model, mode=mode, config=self.config)
            answer = await connection.post("/chat/completions", body.data, timeout_s=request.timeout_s)
            if mode is Mode.PROMPT or not concerns_format(answer):
                break
            refused.append(mode)
        reply = self._read(answer, model, body)
        if refused:
            await modes.give_up(model, refused)
        if mode is Mode.JSON_SCHEMA and request.response_schema is not None and reply.finish_reason != "length":
            await modes.observe(model, enforced=could_be_enforced(reply.text, request.response_schema))
        return reply

    async def models(self) -> list[str]:
        """Return the ids that the server lists; none when it lists none or cannot be asked."""
        try:
            return await self._list(LIST_TIMEOUT_S)
        except EngineError as error:
            self.context.log.warning("the models could not be listed", error=str(error))
            return []

    async def health(self) -> Health:
        """Ask for the list of models, which costs no tokens."""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                count = len(await self._list(HEALTH_TIMEOUT_S))
        except EngineError as error:
            return Health(ok=False, detail=str(error), cure=error.cure)
        except TimeoutError:
            return Health(ok=False, detail=f"{self._place} gave no answer in {HEALTH_TIMEOUT_S:g} s.")
        return Health(ok=True, detail=f"{self._place} answers, models listed: {count}")

    @property
    def _key(self) -> str:
        return self.config.api_key.get_secret_value() if self.config.api_key is not None else ""

    @property
    def _place(self) -> str:
        return urlsplit(self.config.server).netloc

    def _started(self) -> tuple[Connection, Modes]:
        if self._connection is None or self._modes is None:
            raise EngineUnavailable("The engine openai is not started.", retryable=False)
        return self._connection, self._modes

    def _failure(self, answer: Answer) -> EngineError:
        return failure(answer, place=self._place, key=self._key, now_ms=self.context.clock.now_ms())

    def _read(self, answer: Answer, model: str, body: RequestBody) -> EngineReply:
        if not answer.ok:
            if answer.status == 404:
                self._discovered = ""  # the server may hold another model by now
            raise self._failure(answer)
        return read_completion(
            answer,
            model=model,
            prompt_bytes=body.prompt_bytes,
            place=self._place,
            key=self._key,
            now_ms=self.context.clock.now_ms(),
        )

    async def _discover(self, timeout_s: float) -> str:
        """Take the server's first model, where none is configured."""
        listed = await self._list(min(timeout_s, LIST_TIMEOUT_S))
        if not listed:
            raise EngineUnavailable(f"{self._place} lists no models.", cure="Set OPENAI_MODEL.", retryable=False)
        self._discovered = listed[0]
        return self._discovered

    async def _list(self, timeout_s: float) -> list[str]:
        connection, _ = self._started()
        answer = await connection.get("/models", timeout_s=timeout_s)
        if answer.status in NO_LIST:
            return []
        if not answer.ok:
            raise self._failure(answer)
        data = read_object(answer, place=self._place).get("data")
        if not isinstance(data, list):
            raise not_this_api(self._place)
        names = (model.get("id") for model in data if isinstance(model, dict))
        return [name for name in names if isinstance(name, str) and name]


def _connection(base_url: str, key: str) -> Connection:
    """Import the SDK and make a connection to be used on any event loop; runs in a thread."""
    from engines.openai.connection import Connection

    return Connection(base_url=base_url, key=key)
