"""From an `EngineRequest` to the bytes of a Chat Completions call; pure."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts.engine import EngineRequest
from core.contracts.json import Json, JsonObject, compact
from engines.openai.config import Mode, OpenAIConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBody:
    """The bytes that are sent. `prompt_bytes`: those of the messages and the schema."""

    data: bytes
    prompt_bytes: int


def request_body(request: EngineRequest, *, model: str, mode: Mode, config: OpenAIConfig) -> RequestBody:
    """Return the body of a call in this mode; JSON_SCHEMA wants `request.response_schema`."""
    settings: JsonObject = {"model": model}
    temperature = request.temperature if request.temperature is not None else config.temperature
    if temperature is not None:
        settings["temperature"] = temperature
    largest = request.max_output_tokens or config.max_output_tokens
    if largest is not None:
        # OpenAI's newer models refuse max_tokens; other servers may not know its successor.
        settings["max_completion_tokens" if config.is_openai else "max_tokens"] = largest
    messages = _bytes(request.chat(schema_enforced=mode is Mode.JSON_SCHEMA))
    schema, response_format = b"", b""
    if mode is Mode.JSON_SCHEMA:
        schema = _bytes(request.response_schema)
        response_format = (
            b',"response_format":{"type":"json_schema","json_schema":{"name":"reply","strict":true,"schema":'
            + schema
            + b"}}"
        )
    elif mode is Mode.JSON_OBJECT:
        response_format = b',"response_format":{"type":"json_object"}'
    data = _bytes(settings)[:-1] + b',"messages":' + messages + response_format + b"}"
    return RequestBody(data=data, prompt_bytes=len(messages) + len(schema))


def _bytes(value: Json) -> bytes:
    """JSON as UTF-8; a lone surrogate, which UTF-8 cannot say, becomes a question mark."""
    return compact(value).encode("utf-8", "replace")
