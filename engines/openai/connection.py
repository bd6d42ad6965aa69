"""The SDK's client, held to this configuration; imports the SDK, so it is itself imported late."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
import openai
from openai import Omit

from core.contracts.errors import EngineError, EngineRefused, EngineTimeout, EngineUnavailable
from engines.openai.bounded_transport import MAX_REPLY_BYTES, BoundedTransport, ReplyTooLarge
from engines.openai.failures import Answer

PLACEHOLDER_KEY = "none"
"""What a server that wants no key is sent."""

CONNECT_TIMEOUT_S = 10.0
KEEPALIVE_S = 60.0
"""Longer than the five seconds of httpx2: people think between two messages, and a new TLS connection costs."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _Client(openai.AsyncOpenAI):
    """The SDK's client without the headers that it would take from the environment (organization, project, any)."""

    @property
    def default_headers(self) -> dict[str, str | Omit]:
        return {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"rekku openai-python/{openai.__version__}",
        }


def tls_context(base_url: str) -> ssl.SSLContext:
    """Return the TLS context for a server: with the system's certificates, whose reading takes 20 to 60 ms.

    For plain http it is one that trusts nobody, which costs nothing.
    """
    if urlsplit(base_url).scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx2.create_ssl_context()


def proxy_for(base_url: str) -> str | None:
    """Return the proxy that the environment names for a server (HTTPS_PROXY, NO_PROXY), never for this machine."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host in LOOPBACK or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


class Connection:
    """Sends bytes, returns what was answered, whatever its status. Connections are kept alive and reused.

    The SDK neither retries (that is the core's) nor follows redirects (they would carry the key elsewhere). Bodies
    are given as bytes: the SDK's own parameter transform costs 0.15 ms a message. Constructed in a thread.
    """

    def __init__(self, *, base_url: str, key: str) -> None:
        self._place = urlsplit(base_url).netloc
        transport = httpx2.AsyncHTTPTransport(
            verify=tls_context(base_url),
            proxy=proxy_for(base_url),
            limits=httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_S),
        )
        self._client = _Client(
            api_key=key or PLACEHOLDER_KEY,
            admin_api_key="",
            organization="",
            project="",
            webhook_secret="",
            base_url=base_url,
            max_retries=0,
            http_client=httpx2.AsyncClient(
                transport=BoundedTransport(transport), trust_env=False, follow_redirects=False
            ),
        )

    async def post(self, path: str, body: bytes, *, timeout_s: float) -> Answer:
        """Post JSON; raises EngineTimeout, EngineUnavailable, or EngineRefused for a reply that is too large."""
        return await self._send("POST", path, body, timeout_s)

    async def get(self, path: str, *, timeout_s: float) -> Answer:
        """Like `post`, without a body."""
        return await self._send("GET", path, None, timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _send(self, method: str, path: str, body: bytes | None, timeout_s: float) -> Answer:
        timeout = httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
        try:
            if body is None:
                response = await self._client.get(path, cast_to=httpx2.Response, options={"timeout": timeout})
            else:
                response = await self._client.post(
                    path, cast_to=httpx2.Response, content=body, options={"timeout": timeout}
                )
            return Answer(status=response.status_code, headers=response.headers, body=response.content)
        except openai.APIStatusError as error:
            return Answer(status=error.status_code, headers=error.response.headers, body=error.response.content)
        except (openai.APIConnectionError, ReplyTooLarge) as error:
            failure = self._failure(error, timeout_s)
        # Raised out here, so that no traceback leads to the request with its key and its prompt.
        raise failure

    def _failure(self, error: openai.APIConnectionError | ReplyTooLarge, timeout_s: float) -> EngineError:
        if isinstance(error, ReplyTooLarge):
            return EngineRefused(f"The reply of {self._place} is too large: over {MAX_REPLY_BYTES >> 20} MiB.")
        cause = error.__cause__
        if isinstance(cause, (httpx2.ConnectTimeout, httpx2.ConnectError, httpx2.ProxyError)):
            return EngineUnavailable(
                f"{self._place} cannot be reached ({_why(cause)}).",
                cure="Check that the server runs, and OPENAI_BASE_URL.",
            )
        if isinstance(error, openai.APITimeoutError):
            return EngineTimeout(f"{self._place} sent nothing for {timeout_s:g} s.")
        return EngineUnavailable(f"{self._place} broke the connection off before its reply was complete.")


def _why(cause: BaseException) -> str:
    """Name what lies at the bottom of a failed connection, without its text, which may quote anything."""
    for _ in range(8):
        below = cause.__cause__ or cause.__context__
        if below is None:
            break
        cause = below
    return type(cause).__name__
