"""The keys of `[engines.openai]`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

OPENAI_BASE_URL = "https://api.openai.com/v1"
OPENAI_DEFAULT_MODEL = "gpt-4.1-mini"


class Mode(StrEnum):
    """How a model is held to the format, strongest first."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    PROMPT = "prompt"


def _blank_is_absent(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


Text = Annotated[str | None, BeforeValidator(_blank_is_absent)]
Key = Annotated[SecretStr | None, BeforeValidator(_blank_is_absent)]


class OpenAIConfig(BaseModel):
    """Which server and which model, and how to ask it.

    base_url: None means OpenAI's own. model: None means OpenAI's OPENAI_DEFAULT_MODEL, elsewhere the first that the
    server lists. temperature, max_output_tokens: None leaves them to the server. context_tokens: how much the model
    can read. mode: "auto" finds out which of the others the server takes.
    """

    # A key that fails validation must not be quoted by the error.
    model_config = ConfigDict(hide_input_in_errors=True, protected_namespaces=())

    api_key: Key = None
    base_url: Text = None
    model: Text = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_output_tokens: int | None = Field(default=None, ge=1)
    context_tokens: int = Field(default=16_000, ge=1_000)
    mode: Literal["auto"] | Mode = "auto"

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        text = key.get_secret_value() if key is not None else ""
        if any(not "!" <= character <= "~" for character in text):
            raise ValueError("the key holds a space or a character that no key has: copy it anew")
        return key

    @field_validator("base_url")
    @classmethod
    def _is_a_server(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the base URL starts with http:// or https:// and a host, as http://localhost:11434/v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the base URL holds a user name or password: a key belongs into api_key")
        _ = parts.port  # raises ValueError when it is not a number
        return url

    @property
    def server(self) -> str:
        """The base URL that is in use."""
        return self.base_url or OPENAI_BASE_URL

    @property
    def is_openai(self) -> bool:
        """Whether the server is OpenAI's own, whose models and parameters are known."""
        host = urlsplit(self.server).hostname or ""
        return host == "openai.com" or host.endswith(".openai.com")

    @property
    def known_model(self) -> str:
        """The model as far as it is known without asking the server, or ""."""
        return self.model or (OPENAI_DEFAULT_MODEL if self.is_openai else "")
