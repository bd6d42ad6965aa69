"""A database that is named on the command line: by its URL, or as the one of the settings."""

from __future__ import annotations

from pydantic import SecretStr, TypeAdapter, ValidationError

from core.contracts.errors import ConfigurationError
from core.settings import Settings
from core.settings.values import DatabaseUrl

OF_THE_SETTINGS = (".", "settings")


def named_database(name: str, settings: Settings, argument: str) -> Settings:
    """Return the settings with this database; raises ConfigurationError that never shows the URL.

    argument: what the command line calls it.
    """
    if name in OF_THE_SETTINGS:
        return settings
    try:
        url = TypeAdapter(DatabaseUrl).validate_python(SecretStr(name))
    except ValidationError as error:
        what = error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigurationError(
            f"{argument}: {what.partition(';')[0]}.", cure="`.` stands for the database of the settings."
        ) from None
    return settings.model_copy(update={"database_url": url, "db_host": None})


def setting_for(name: str, chosen: Settings) -> str:
    """Return what to change so that Rekku uses a database that was named on the command line."""
    if name in OF_THE_SETTINGS:
        return "The settings name it already."
    if chosen.database_server is None and chosen.database_path == chosen.home / "rekku.db":
        return "To use it, unset DATABASE_URL, and DB_HOST and what belongs to it."
    return "To use it, set DATABASE_URL to its URL, in .env of REKKU_HOME, and unset DB_HOST and what belongs to it."
