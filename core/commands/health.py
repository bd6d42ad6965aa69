"""`rekku health`: whether the process that serves can do its work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.commands.exit_status import FAILED, CommandFailed, finish

if TYPE_CHECKING:
    from core.settings import Settings

Url = Annotated[
    str, typer.Option("--url", metavar="URL", help="Where to ask, in place of what REKKU_HEALTH_LISTEN says.")
]

TIMEOUT_S = 10.0
LARGEST_ANSWER = 1 << 20
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def health(url: Url = "") -> None:
    """Ask `rekku run` whether it can do its work.

    What cannot is shown with its reason. The exit status is 0 when it is ready, else 1, also when nobody answers.
    """
    finish(lambda: _health(url))


def _health(url: str) -> int:
    from core.commands.table import table
    from core.commands.terminal_text import say

    told = asked(url or _own_url())
    try:
        ready = told["ready"] is True
        broken = [
            (part["kind"], part["name"], part["state"], part["reason"])
            for part in told["parts"]
            if part["state"] not in ("ok", "off")
        ]
    except (KeyError, TypeError) as error:
        raise CommandFailed("What answers there is not Rekku.") from error
    say("Ready." if ready else "Not ready.")
    if broken:
        say(table(("KIND", "NAME", "STATE", "REASON"), broken))
    return 0 if ready else FAILED


def _own_url() -> str:
    from core.commands.startup import settings_for

    return url_of(settings_for())


def url_of(settings: Settings) -> str:
    """Return where `rekku run` with these settings tells how it is; raises CommandFailed when it does not."""
    address = settings.health_address
    if address is None:
        raise CommandFailed(
            "REKKU_HEALTH_LISTEN is empty: health is not told over HTTP.", cure="Set it, or use --url."
        )
    host, port = address
    host = _ANYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def asked(url: str) -> Any:
    """Return what /readyz answers; raises CommandFailed when there is no answer."""
    import http.client
    import json
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_S)
    except (ValueError, http.client.HTTPException) as error:
        raise CommandFailed(f"{url} is no URL of the form http://HOST:PORT.") from error
    if parts.scheme != "http" or not parts.hostname:
        raise CommandFailed(f"{url} is no URL of the form http://HOST:PORT.")
    try:
        connection.request("GET", "/readyz")
        return json.loads(connection.getresponse().read(LARGEST_ANSWER))
    except ValueError as error:
        raise CommandFailed(f"What answers on {url} is not Rekku.") from error
    except (OSError, http.client.HTTPException) as error:
        raise CommandFailed(
            f"Nobody answers on {url} ({error}).", cure="Is `rekku run` running, with this REKKU_HEALTH_LISTEN?"
        ) from error
    finally:
        connection.close()
