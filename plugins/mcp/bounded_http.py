"""A bound on what a server can make us hold in memory over HTTP. Event streams are bounded by the SDK, by event."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2

LARGEST_ANSWER = 8 * 1024 * 1024
HEADERS = {"Accept-Encoding": "identity"}


async def bound(response: httpx2.Response) -> None:
    """Bound the body of a response; a hook of an `httpx2.AsyncClient`. A packed one is refused: it may be a bomb."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.RemoteProtocolError("the server packs its answer, though it was asked not to")
    if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > LARGEST_ANSWER:
                raise httpx2.RemoteProtocolError(f"the answer is over {LARGEST_ANSWER} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
