"""The URL of a database server, as we hand it to the driver."""

from __future__ import annotations

from sqlalchemy import URL, make_url

from core.contracts.errors import ConfigurationError
from core.settings import Settings

_DRIVERS = {
    "mariadb": "mariadb+aiomysql",
    "mysql": "mariadb+aiomysql",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}


def server_of(settings: Settings) -> URL | None:
    """Return the URL of the database server of the settings; None where the database is a file."""
    server = settings.database_server
    return None if server is None else normalized(server.get_secret_value())


def dialect_of(settings: Settings) -> str:
    """Return "sqlite", "mariadb" or "postgresql"."""
    url = server_of(settings)
    return "sqlite" if url is None else url.get_backend_name()


def normalized(url: str) -> URL:
    """Return a URL with the driver that we use; raises ConfigurationError for one that names no database."""
    parsed = make_url(url)
    driver = _DRIVERS.get(parsed.drivername.partition("+")[0])
    if driver is None or not parsed.database:
        raise ConfigurationError(
            "DATABASE_URL must be sqlite:///path, mariadb://user:password@host/name or "
            "postgresql://user:password@host/name."
        )
    options = dict(parsed.query)
    known = {"ssl"} if driver.startswith("postgresql") else set()
    if known and "sslmode" in options:
        options["ssl"] = options.pop("sslmode")  # as libpq and everybody who writes such URLs call it
    unknown = sorted(options.keys() - known)
    if unknown:
        raise ConfigurationError(
            f"DATABASE_URL has the option {unknown[0]}, which is not known.", cure="Leave out what follows the ?."
        )
    return parsed.set(drivername=driver, query=options)


def default_port(url: URL) -> int:
    """Return the port of a server of that kind where the URL names none."""
    return 5432 if url.get_backend_name() == "postgresql" else 3306


def for_driver(url: URL) -> URL:
    """Return a normalized URL for the driver: aiomysql makes latin-1 of a password, and MariaDB wants UTF-8."""
    if url.get_backend_name() != "mariadb" or url.password is None:
        return url
    return url.set(password=url.password.encode().decode("latin-1"))
