"""`Settings`: every setting with its key, unit, default and reason."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictInt, ValidationInfo, field_validator

from core.contracts.json import JsonObject
from core.settings.backup import BackupSettings
from core.settings.budgets import UNLIMITED, BudgetSettings
from core.settings.components import ComponentTable
from core.settings.events import EventSettings
from core.settings.prompt import PromptSettings
from core.settings.retention import RetentionSettings
from core.settings.secrets import SHORTEST_SECRET, secret_values, url_password
from core.settings.timezone import system_timezone
from core.settings.values import (
    AbsolutePath,
    DatabaseUrl,
    EngineNames,
    Listen,
    Lower,
    PrincipalText,
    Seconds,
    Secret,
    Upper,
    Url,
    Zone,
    listed,
    listen_address,
)
from core.settings.watchdog import WatchdogSettings

MASKED = "set"
"""What `Settings.describe` says in place of a secret."""

_FOR_COMPONENTS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("engines", "openai"): {"api_key": "openai_api_key", "base_url": "openai_base_url", "model": "openai_model"},
    ("interfaces", "telegram"): {
        "token": "telegram_bot_token",
        "api_base": "telegram_api_base",
        "webhook_url": "telegram_webhook_url",
        "webhook_secret": "telegram_webhook_secret",
    },
    ("plugins", "weather"): {"fetch_minutes": "weather_fetch_minutes"},
}
"""Settings that stand for a key of one component's table, and override it there."""


class Access(StrEnum):
    """What becomes of somebody whom nobody has introduced."""

    TRAINERS = "trainers"
    PAIRING = "pairing"
    OPEN = "open"


class Settings(BaseModel):
    """What a user can set. The alias of each field is its key, in the environment and in `rekku.toml` alike."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_by_name=True, validate_by_alias=True
    )

    # Where things are
    home: AbsolutePath = Field(
        default_factory=lambda: Path.home() / ".rekku",
        validation_alias="REKKU_HOME",
        description="Directory of the database, the configuration, plugins of one's own and their data. Only the "
        "environment can name it: the other two sources are inside.",
    )
    plugin_path: Annotated[tuple[AbsolutePath, ...], listed(os.pathsep)] = Field(
        default=(),
        validation_alias="REKKU_PLUGIN_PATH",
        description="More directories with plugins, separated as in PATH; none by default.",
    )
    timezone: Zone = Field(
        default_factory=lambda: system_timezone(os.environ),
        validation_alias="REKKU_TIMEZONE",
        description="IANA zone (Europe/Rome) in which times are told and reminders meant; the system's by default.",
    )

    # Who may
    access: Annotated[Access, Lower] = Field(
        default=Access.PAIRING,
        validation_alias="REKKU_ACCESS",
        description="What a stranger is: refused (trainers), given a code that a trainer confirms (pairing: the "
        "default, since nobody is let in unseen), or a guest (open).",
    )
    telegram_trainer_id: StrictInt | None = Field(
        default=None,
        gt=0,
        validation_alias="TELEGRAM_TRAINER_ID",
        description="One more trainer: a Telegram user id.",
    )
    trainer_ids: Annotated[frozenset[PrincipalText], listed(",")] = Field(
        default=frozenset(),
        validate_default=True,
        validation_alias="TRAINER_IDS",
        description="Trainers, who may do everything, as telegram:1,discord:2: immutable ids, never names.",
    )

    # The model
    engine: EngineNames = Field(
        default=("auto",),
        min_length=1,
        validation_alias="REKKU_ENGINE",
        description="The engine, or a fallback chain of them, the first one first. auto: openai if a key or base URL "
        "is set, else offline, which needs nothing.",
    )
    openai_api_key: Secret | None = Field(
        default=None, validation_alias="OPENAI_API_KEY", description="Key of the OpenAI-compatible server."
    )
    openai_base_url: Url | None = Field(
        default=None,
        validation_alias="OPENAI_BASE_URL",
        description="Its base URL, as http://localhost:11434/v1; OpenAI's own by default.",
    )
    openai_model: str | None = Field(
        default=None, validation_alias="OPENAI_MODEL", description="The model; the server's choice by default."
    )
    corrector_retries: StrictInt = Field(
        default=2,
        ge=0,
        le=10,
        validation_alias="CORRECTOR_RETRIES",
        description="How often a reply with invalid actions goes back to the model; more than two rarely help.",
    )
    engine_deadline_s: Seconds = Field(
        default=120.0,
        gt=0,
        le=3600,
        validation_alias="REKKU_ENGINE_DEADLINE_S",
        description="Seconds that one step may wait for the model, retries and fallbacks included.",
    )
    max_steps: StrictInt = Field(
        default=8,
        ge=1,
        le=100,
        validation_alias="REKKU_MAX_STEPS",
        description="Steps (engine calls with their actions) that one turn may take: the bound on a model in a loop.",
    )

    # Telegram
    telegram_bot_token: Secret | None = Field(
        default=None,
        validation_alias="TELEGRAM_BOT_TOKEN",
        description="The bot's token; without it Telegram is off.",
    )
    telegram_api_base: Url | None = Field(
        default=None, validation_alias="TELEGRAM_API_BASE", description="URL of a Bot API server of one's own."
    )
    telegram_webhook_url: Url | None = Field(
        default=None,
        validation_alias="TELEGRAM_WEBHOOK_URL",
        description="Public URL for updates; polling without it.",
    )
    telegram_webhook_secret: Secret | None = Field(
        default=None,
        validation_alias="TELEGRAM_WEBHOOK_SECRET",
        description="What proves that an update is Telegram's.",
    )

    # The database
    database_url: DatabaseUrl | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="sqlite:///path of a file (relative: in the home), mariadb://user:password@host/name or "
        "postgresql://user:password@host/name; rekku.db in the home by default.",
    )
    db_host: str | None = Field(
        default=None,
        min_length=1,
        validation_alias="DB_HOST",
        description="MariaDB's host: with it MariaDB is used, in place of DATABASE_URL.",
    )
    db_port: StrictInt = Field(
        default=3306, ge=1, le=65535, validation_alias="DB_PORT", description="MariaDB's port."
    )
    db_user: str = Field(default="rekku", min_length=1, validation_alias="DB_USER", description="MariaDB's user.")
    db_pass: SecretStr | None = Field(
        default=None, validation_alias="DB_PASS", description="MariaDB's password; none by default."
    )
    db_name: str = Field(
        default="rekku",
        min_length=1,
        validation_alias="DB_NAME",
        description="MariaDB's database; created at the first start where the user may.",
    )

    # The log
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Upper] = Field(
        default="INFO",
        validation_alias="REKKU_LOG_LEVEL",
        description="The least that is logged. Texts of messages appear at DEBUG only.",
    )
    log_format: Annotated[Literal["console", "json"], Lower] = Field(
        default="console", validation_alias="REKKU_LOG_FORMAT", description="For people (console) or programs (json)."
    )

    # Health over HTTP
    health_listen: Listen = Field(
        default="127.0.0.1:8787",
        validation_alias="REKKU_HEALTH_LISTEN",
        description="Host and port on which `rekku run` tells over HTTP how it is; empty: it does not. On loopback, "
        "since whoever reaches it is not asked who they are.",
    )

    # Plugins that come along
    weather_fetch_minutes: StrictInt = Field(
        default=60,
        ge=1,
        le=10_080,
        validation_alias="WEATHER_FETCH_TIME",
        description="Minutes after which the weather report is fetched anew; it changes about hourly.",
    )

    # The tables of rekku.toml
    prompt: PromptSettings = Field(default=PromptSettings(), description="`[prompt]`.")
    budgets: BudgetSettings = Field(default=BudgetSettings(), description="`[budgets]`, by role.")
    retention: RetentionSettings = Field(default=RetentionSettings(), description="`[retention]`.")
    backup: BackupSettings = Field(default=BackupSettings(), description="`[backup]`.")
    events: EventSettings = Field(default=EventSettings(), description="`[events]`.")
    watchdog: WatchdogSettings = Field(default=WatchdogSettings(), description="`[watchdog]`.")
    policy_rules: tuple[JsonObject, ...] = Field(default=(), description="`[[policy.rules]]`, for `read_rules`.")
    components: Mapping[str, Mapping[str, ComponentTable]] = Field(
        default_factory=dict, repr=False, description="Tables by kind (plugins, interfaces, engines) and name."
    )
    sources: Mapping[str, str] = Field(
        default_factory=dict, repr=False, description="Where the value of each key came from, for `describe`."
    )
    expanded_secrets: Mapping[str, SecretStr] = Field(
        default_factory=dict, repr=False, description="Secrets that ${VAR} brought in, by variable."
    )

    @field_validator("trainer_ids")
    @classmethod
    def _with_telegram_trainer(cls, ids: frozenset[str], info: ValidationInfo) -> frozenset[str]:
        telegram = info.data.get("telegram_trainer_id")
        return ids if telegram is None else ids | {f"telegram:{telegram}"}

    @field_validator("db_port", "db_user", "db_pass", "db_name")
    @classmethod
    def _for_a_host(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("db_host") is None and "db_host" in info.data:
            raise ValueError("has no effect without DB_HOST: set that too, or unset this")
        return value

    @field_validator("db_host")
    @classmethod
    def _one_database(cls, host: str | None, info: ValidationInfo) -> str | None:
        if host is not None and info.data.get("database_url") is not None:
            raise ValueError("DATABASE_URL is set too: unset one of them")
        return host

    @property
    def database_server(self) -> SecretStr | None:
        """The URL of the database server, None where the database is a SQLite file."""
        if self.db_host is not None:
            account = quote(self.db_user, safe="")
            if self.db_pass is not None:
                account += f":{quote(self.db_pass.get_secret_value(), safe='')}"
            host = f"[{self.db_host}]" if ":" in self.db_host else self.db_host
            return SecretStr(f"mariadb://{account}@{host}:{self.db_port}/{quote(self.db_name, safe='')}")
        if self.database_url is None or self.database_url.get_secret_value().startswith("sqlite:"):
            return None
        return self.database_url

    @property
    def database_path(self) -> Path:
        """The SQLite file; without meaning where there is a `database_server`."""
        if self.database_url is None or self.database_server is not None:
            return self.home / "rekku.db"
        return self.home / Path(self.database_url.get_secret_value().removeprefix("sqlite:///")).expanduser()

    @property
    def health_address(self) -> tuple[str, int] | None:
        """Where health is told over HTTP: host and port (0: any that is free), None where it is not."""
        return listen_address(self.health_listen) if self.health_listen else None

    @property
    def backup_directory(self) -> Path:
        """Where the backups are that are made while Rekku runs."""
        return self.home / self.backup.directory.expanduser()

    def component(self, kind: str, name: str) -> ComponentTable:
        """Return `[kind.name]` (kind: "plugins", "interfaces" or "engines"), an empty one when nothing is set.

        Settings that stand for a key of that component (OPENAI_MODEL, WEATHER_FETCH_TIME) override it there.
        """
        table = self.components.get(kind, {}).get(name, ComponentTable())
        named = _FOR_COMPONENTS.get((kind, name), {})
        own = {
            key: getattr(self, attribute) for key, attribute in named.items() if attribute in self.model_fields_set
        }
        if not own:
            return table
        return dataclasses.replace(table, values={**table.values, **own})

    def origins(self, kind: str, name: str) -> dict[str, str]:
        """Return where each key of `component(kind, name)` came from, without those that are not set."""
        named = _FOR_COMPONENTS.get((kind, name), {})
        own = {
            key: f"{KEYS[attribute]} ({self.sources.get(KEYS[attribute], self._source(attribute))})"
            for key, attribute in named.items()
            if attribute in self.model_fields_set
        }
        return {**self.components.get(kind, {}).get(name, ComponentTable()).origins, **own}

    def secrets(self) -> dict[str, str]:
        """Return every secret value that is known, by a name that may be shown: what has to be masked."""
        found: dict[str, str] = {name: secret.get_secret_value() for name, secret in self.expanded_secrets.items()}
        for attribute, key in KEYS.items():
            value = getattr(self, attribute)
            if not isinstance(value, SecretStr):
                continue
            if attribute != "database_url":
                found[key] = value.get_secret_value()
            elif password := url_password(value.get_secret_value()):
                # Whole, a URL of a file is no secret; a password may turn up alone, escaped or not.
                found |= {f"{key} password": unquote(password), f"{key} password, escaped": password}
        for kind, tables in self.components.items():
            for name, table in tables.items():
                found.update(secret_values(f"{kind}.{name}", table.values))
        return {name: value for name, value in found.items() if len(value) >= SHORTEST_SECRET}

    def _tables(self) -> list[tuple[str, BaseModel]]:
        return [
            ("retention", self.retention),
            ("backup", self.backup),
            ("events", self.events),
            ("watchdog", self.watchdog),
        ]

    def describe(self) -> list[tuple[str, str, str]]:
        """Return (key, value, source) of each setting, for people; "set" stands for a secret."""
        rows = [
            (key, _shown(getattr(self, attribute)), self.sources.get(key, self._source(attribute)))
            for attribute, key in KEYS.items()
        ]
        for table, values in (("prompt", self.prompt), *self._tables()):
            for key, value in values:
                name = f"{table}.{key}"
                shown = UNLIMITED if value is None else str(value)
                rows.append((name, shown, self.sources.get(name, "default")))
        for role, budget in self.budgets:
            for key, value in budget:
                is_set = key in budget.model_fields_set
                source = self.sources.get(f"budgets.{role}", "program") if is_set else "default"
                rows.append((f"budgets.{role}.{key}", UNLIMITED if value is None else str(value), source))
        return rows

    def _source(self, attribute: str) -> str:
        return "program" if attribute in self.model_fields_set else "default"


KEYS: Mapping[str, str] = {
    attribute: field.validation_alias
    for attribute, field in Settings.model_fields.items()
    if isinstance(field.validation_alias, str)
}
"""The key of each attribute of `Settings` that has one, in their order."""

SET_EMPTY = frozenset({"REKKU_HEALTH_LISTEN"})
"""Keys for which an empty value says something; for all others it is as good as none."""


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return MASKED
    if value is None:
        return "not set"
    if isinstance(value, tuple | frozenset):
        texts = [str(each) for each in value]
        return ", ".join(sorted(texts) if isinstance(value, frozenset) else texts) or "not set"
    if value == "":
        return "empty"
    return f"{value:g}" if isinstance(value, float) else str(value)
