"""Which values are secret: by the names of their keys, and passwords in URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from core.contracts.json import Json

SHORTEST_SECRET = 6
"""Characters. A shorter secret could not be masked in texts without tearing words apart."""

_SECRET_KEY = re.compile(r"(key|token|secret|credential)s?$|pass", re.IGNORECASE)


def looks_secret(key: str) -> bool:
    """Whether a key of this name holds a secret by convention: `*key`, `*token`, `*secret`, `*pass*`."""
    return bool(_SECRET_KEY.search(key))


def secret_values(name: str, value: Json, *, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (name, value) of what is secret in a value and below it: under such keys, and passwords in URLs."""
    if isinstance(value, str):
        if value and looks_secret(key):
            yield name, value
        elif password := url_password(value):
            yield f"{name} password", password
    elif isinstance(value, Mapping):
        for inner, item in value.items():
            yield from secret_values(f"{name}.{inner}", item, key=str(inner))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from secret_values(f"{name}[{position}]", item, key=key)


def url_password(text: str) -> str:
    """Return the password in a URL, as it is written there, or ""."""
    scheme, separator, rest = text.partition("://")
    account, at, _ = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")
    return account.partition(":")[2] if scheme and separator and at else ""


def mask(text: str, secrets: Mapping[str, str]) -> str:
    """Return `text` with each secret value replaced by its name, the longest first."""
    for name, value in sorted(secrets.items(), key=lambda item: -len(item[1])):
        text = text.replace(value, f"[{name}]") if value else text
    return text
