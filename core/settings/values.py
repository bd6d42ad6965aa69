"""What the value of a single setting may be."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from core.contracts.errors import ConfigurationError
from core.contracts.inputs import Principal
from core.settings.secrets import SHORTEST_SECRET
from core.settings.timezone import check_timezone

_DATABASES = "sqlite:///path, mariadb://user:password@host/name or postgresql://user:password@host/name"


SERVERS = ("mariadb", "mysql", "postgresql", "postgres")
"""What the URL of a database server may begin with."""


def listed(separator: str) -> BeforeValidator:
    """Take a text that is separated by `separator` for a list of the texts between, without blanks."""

    def split(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(separator) if part.strip())

    return BeforeValidator(split)


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def absolute(path: Path) -> Path:
    """Return an absolute path, "~" resolved."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ConfigurationError(f"{path}: the home directory of that user is not known.") from error


def _zone(name: str) -> str:
    check_timezone(name)
    return name


def principal_text(text: str) -> str:
    """Return the text of a principal as it is; raises ValueError for one that no id stands in."""
    principal = Principal.parse(text)
    if principal.interface == "telegram" and not principal.user_id.isdecimal():
        raise ValueError(f"{text!r} holds a name, which its owner can change: write telegram:NUMBER")
    return text


def _engines(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            raise ValueError(f"{name!r} is no name of an engine: write names with commas between, as openai,offline")
    if len(set(names)) < len(names):
        raise ValueError("the same engine stands in the list twice")
    if "auto" in names and len(names) > 1:
        raise ValueError("auto stands alone: it chooses the engines itself")
    return names


def _url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(mark.isspace() for mark in url):
        raise ValueError("must be a URL that starts with http:// or https:// and a host, without spaces")
    if "@" in parts.netloc:
        raise ValueError("holds a user name or password, which a URL does not keep secret: take them out")
    return url


def listen_address(text: str) -> tuple[str, int]:
    """Return the host and the port of HOST:PORT; raises ValueError for what is neither that nor empty."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None or parts.netloc != text or "@" in text:
        raise ValueError("must be HOST:PORT, as 127.0.0.1:8787, or empty")
    return host, port


def on_loopback(host: str) -> bool:
    """Whether a host stands for this machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(text: str) -> str:
    if text:
        listen_address(text)
    return text


def _secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if len(text) < SHORTEST_SECRET:
        raise ValueError(f"{len(text)} characters are too few for a secret; {SHORTEST_SECRET} are needed, or none")
    if any(not "!" <= mark <= "~" for mark in text):
        raise ValueError("holds a space or a character that no key has: copy it anew")
    return secret


def _database_url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    kind, separator, _ = text.partition(":")
    if kind == "sqlite":
        path = text.removeprefix("sqlite:///")
        if path == text or not path or path == ":memory:" or "?" in path:
            raise ValueError("must be sqlite:///path, with the path of a file and nothing behind it")
        return url
    if not separator or kind.partition("+")[0] not in SERVERS:
        raise ValueError(f"must be {_DATABASES}; unset it for rekku.db in REKKU_HOME")
    if "@" in text.partition("@")[2]:
        # The last one ends the password for some readers and the first for others: it must not become a host's name.
        raise ValueError("holds more than one @: escape each @ of the user and the password as %40")
    try:
        parts = urlsplit(text)
        if "@" in text and "@" not in parts.netloc:
            raise ValueError("a password that ends early")
        sound = bool(parts.hostname) and len(parts.path) > 1 and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"must be {_DATABASES}; escape what is special in a password, as %40 for @")
    return url


Upper = BeforeValidator(_upper)
Lower = BeforeValidator(_lower)
AbsolutePath = Annotated[Path, AfterValidator(absolute)]
Zone = Annotated[str, AfterValidator(_zone)]
PrincipalText = Annotated[str, AfterValidator(principal_text)]
EngineNames = Annotated[tuple[str, ...], AfterValidator(_engines), listed(","), Lower]
Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Url = Annotated[str, AfterValidator(_url)]
Listen = Annotated[str, AfterValidator(_listen)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
