"""From the sources to `Settings`, or to one error that names every mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from core.contracts.errors import ConfigurationError
from core.contracts.json import JsonObject
from core.settings.backup import BackupSettings
from core.settings.budgets import BudgetSettings, TrainerBudget
from core.settings.events import EventSettings
from core.settings.model import KEYS, SET_EMPTY, Settings
from core.settings.problems import did_you_mean
from core.settings.prompt import PromptSettings
from core.settings.retention import RetentionSettings
from core.settings.secrets import SHORTEST_SECRET
from core.settings.sources import Sources, present
from core.settings.timezone import system_timezone
from core.settings.values import absolute
from core.settings.watchdog import WatchdogSettings

_NOT_SETTINGS = re.compile(
    r"REKKU_(REQUIRE_SERVICES|TEST_DATABASE|EVERY_CASE|CHAOS|KILLS|KILL_MESSAGES)"
    r"|REKKU_SERVICE_(HOST|PORT).*|REKKU_PORT(_.*)?"
)
"""Variables of the tests, and those that Kubernetes sets in every container beside a service named rekku."""

_WHOLE_NUMBERS = ("DB_PORT", "TELEGRAM_TRAINER_ID", "CORRECTOR_RETRIES", "REKKU_MAX_STEPS", "WEATHER_FETCH_TIME")
_NUMBERS = {**dict.fromkeys(_WHOLE_NUMBERS, int), "REKKU_ENGINE_DEADLINE_S": float}
_HIDDEN = frozenset(
    key
    for attribute, key in KEYS.items()
    if "SecretStr" in str(Settings.model_fields[attribute].annotation) or key.endswith(("_URL", "_BASE"))
)
"""Keys whose values no text shows: secrets, and URLs that may hold one."""


_TABLES: Mapping[str, type[BaseModel]] = {
    "prompt": PromptSettings,
    "retention": RetentionSettings,
    "backup": BackupSettings,
    "events": EventSettings,
    "watchdog": WatchdogSettings,
}
"""The tables of rekku.toml that have no tables below them."""


def load_settings(env: Mapping[str, str] | None = None, *, home: Path | None = None) -> Settings:
    """Read all sources, the strongest first: `env` (the process's own by default), `.env`, `rekku.toml`.

    home: the home directory, in place of REKKU_HOME. Raises ConfigurationError that names every mistake.
    """
    variables = present(os.environ if env is None else env, SET_EMPTY)
    directory = absolute(home or Path(variables.get("REKKU_HOME") or f"{variables.get('HOME', '~')}/.rekku"))
    sources = Sources(
        directory, variables, known=frozenset(KEYS.values()), not_settings=_NOT_SETTINGS, set_empty=SET_EMPTY
    )
    tables = ("prompt", "budgets", "retention", "backup", "events", "watchdog", "policy")
    sources.read(tables=tables, numbers=_NUMBERS)
    values: JsonObject = {**sources.values, "REKKU_HOME": directory}
    if home is not None:
        sources.origins["REKKU_HOME"] = "program"
    if "REKKU_TIMEZONE" not in values:
        values["REKKU_TIMEZONE"] = system_timezone(variables)
        sources.origins["REKKU_TIMEZONE"] = "system"
    problems = sources.problems
    hidden = {key: _hidden_part(values[key]) for key in _HIDDEN & values.keys() if isinstance(values[key], str)}
    problems.secrets.update(
        {key: text for key, text in (sources.expansion.secrets | hidden).items() if len(text) >= SHORTEST_SECRET}
    )
    values.update(
        prompt=sources.tables.get("prompt", {}),
        budgets=sources.tables.get("budgets", {}),
        retention=sources.tables.get("retention", {}),
        backup=sources.tables.get("backup", {}),
        events=sources.tables.get("events", {}),
        watchdog=sources.tables.get("watchdog", {}),
        policy_rules=sources.rules,
        components=sources.components,
        sources=sources.origins,
        expanded_secrets=sources.expansion.secrets,
    )
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        _report(error, values, sources)
    if settings is None or problems:
        raise problems.error()
    return settings


def _hidden_part(value: str) -> str:
    """Return what no text may show of a value: of a URL what stands behind its scheme, of a file's URL nothing."""
    scheme, separator, rest = value.partition("://")
    if scheme == "sqlite":
        return ""
    return rest if separator and scheme.replace("+", "").isalnum() else value


def _report(error: ValidationError, values: JsonObject, sources: Sources) -> None:
    """Add what pydantic found to the problems, in terms of keys and files."""
    file = f"{sources.home / 'rekku.toml'}: "
    for mistake in error.errors(include_input=False, include_url=False, include_context=False):
        key, *below = (str(part) for part in mistake["loc"])
        what = mistake["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        if key in _TABLES or key == "budgets":
            cure = ""
            if mistake["type"] == "extra_forbidden":
                what, cure = "there is no such key", did_you_mean(below[-1], _keys(key, len(below)))
            elif mistake["type"] == "model_type":
                what = f"must be a table: [{'.'.join((key, *below))}]"
            elif key in ("budgets", "retention") or (key == "events" and below[-1] != "keep"):
                cure = 'Write a number from 1, or "unlimited".'
            sources.problems.add(f"{file}{'.'.join((key, *below))}", what, cure)
            continue
        value = values.get(key)
        shown = f", but is {_excerpt(value)}" if what.startswith("must") and key not in _HIDDEN else ""
        sources.problems.add(f"{key} ({sources.origins.get(key, 'default')})", f"{what}{shown}")


def _keys(table: str, depth: int) -> Collection[str]:
    """Return the keys that there are in a table, or in those below it."""
    if table != "budgets":
        return _TABLES[table].model_fields
    return BudgetSettings.model_fields if depth == 1 else TrainerBudget.model_fields


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def ensure_home(settings: Settings) -> None:
    """Create the home directory (for its owner alone); raises ConfigurationError when it cannot be used."""
    home = settings.home
    cure = "Set REKKU_HOME to a directory that this user may write to."
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigurationError(f"REKKU_HOME: {home} is not a directory.", cure=cure) from None
    except OSError as error:
        raise ConfigurationError(f"REKKU_HOME: {home} cannot be created ({error.strerror}).", cure=cure) from error
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"REKKU_HOME: {home} cannot be written to.", cure=cure)
