"""The keys of `[interfaces.telegram]`."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator


class Answer(StrEnum):
    """To what is answered in groups."""

    MENTIONED = "mentioned"
    ALWAYS = "always"


class TelegramConfig(BaseModel):
    """What can be set. `token`, `api_base` and the webhook's URL and secret also come from TELEGRAM_* settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token: SecretStr | None = Field(default=None, description="The bot's token, from @BotFather.")
    api_base: str = Field(default="https://api.telegram.org", description="URL of the Bot API server.")
    webhook_url: str | None = Field(
        default=None, description="Where Telegram posts updates to; without it they are fetched by long polling."
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="What proves that a post is from Telegram: 6 to 256 of A-Z a-z 0-9 _ -."
    )
    webhook_listen: str = Field(
        default="127.0.0.1:8081", description="Host and port on which the webhook is listened for, behind a proxy."
    )
    aliases: tuple[str, ...] = Field(default=(), description="Names, besides the bot's own, that it answers to.")
    wake_words: tuple[str, ...] = Field(default=(), description="Words with which a message to it may begin.")
    answer: Answer = Field(default=Answer.MENTIONED, description="To what it answers in groups.")
    max_download_mb: float = Field(default=20.0, gt=0, le=2000, description="The largest file that is downloaded.")
    link_previews: bool = Field(
        default=False,
        description="Whether Telegram may show previews of links. It fetches them at once: a link that a model was "
        "talked into writing would then carry what it holds to its server, unseen.",
    )

    @field_validator("webhook_listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        parts = urlsplit(f"//{value}")
        if not parts.hostname or parts.port is None:
            raise ValueError("must be HOST:PORT, as 127.0.0.1:8081")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _as_telegram_takes_it(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            text = value.get_secret_value()
            if (
                not 6 <= len(text) <= 256
                or not text.replace("_", "").replace("-", "").isalnum()
                or not text.isascii()
            ):
                raise ValueError("must have 6 to 256 characters of A-Z, a-z, 0-9, _ and -")
        return value

    def missing(self) -> str:
        """Return "" when there is enough to start, else what is missing."""
        if self.token is None:
            return "TELEGRAM_BOT_TOKEN is not set"
        if self.webhook_url and self.webhook_secret is None:
            return "TELEGRAM_WEBHOOK_URL is set without TELEGRAM_WEBHOOK_SECRET: anyone could post updates to it"
        return ""
