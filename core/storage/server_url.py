"""The URL of a database server, as we hand it to the driver."""

from __future__ import annotations

from sqlalchemy import URL, make_url

from core.contracts.errors import ConfigurationError


def normalized(url: str) -> URL:
    """Return a URL with the driver that we use; raises ConfigurationError for one that names no database."""
    parsed = make_url(url)
    driver = {"mysql": "mariadb+aiomysql", "mariadb": "mariadb+aiomysql", "postgresql": "postgresql+asyncpg"}
    kind = parsed.drivername.partition("+")[0].replace("postgres", "postgresql").replace("postgresqlql", "postgresql")
    if kind not in driver or not parsed.database:
        raise ConfigurationError(
            "DATABASE_URL must be sqlite:///path, mariadb://user:password@host/name or "
            "postgresql://user:password@host/name."
        )
    options = dict(parsed.query)
    if kind == "postgresql" and "sslmode" in options:
        options["ssl"] = options.pop("sslmode")  # as libpq and everybody who writes such URLs call it
    unknown = sorted(options.keys() - ({"ssl"} if kind == "postgresql" else set()))
    if unknown:
        raise ConfigurationError(
            f"DATABASE_URL has the option {unknown[0]}, which is not known.", cure="Leave out what follows the ?."
        )
    return parsed.set(drivername=driver[kind], query=options)
