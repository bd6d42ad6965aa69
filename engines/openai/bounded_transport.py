"""A bound on what a server can make us hold in memory; imports httpx2, so it is itself imported late."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

MAX_REPLY_BYTES = 4 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024


class ReplyTooLarge(Exception):
    """A successful reply is larger than MAX_REPLY_BYTES."""


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Passes requests on and counts the bytes of the replies, unpacked: a small body may unpack to a huge one.

    A reply above MAX_REPLY_BYTES raises ReplyTooLarge; the body of an error is cut at MAX_ERROR_BYTES, as its status
    says what matters.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request`; raises ReplyTooLarge at once when the reply announces too much."""
        response = await self._inner.handle_async_request(request)
        announced = response.headers.get("content-length", "")
        if response.is_success and announced.isdigit() and int(announced) > MAX_REPLY_BYTES:
            await response.aclose()
            raise ReplyTooLarge
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name not in ("content-encoding", "content-length")
        ]
        return httpx2.Response(
            response.status_code, headers=headers, stream=_BoundedStream(response), extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    """The decompressed body of a response, as far as it is allowed."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        success = self._response.is_success
        limit = MAX_REPLY_BYTES if success else MAX_ERROR_BYTES
        size = 0
        async for piece in self._response.aiter_bytes():
            size += len(piece)
            if size > limit:
                if success:
                    raise ReplyTooLarge
                yield piece[: limit - size]
                return
            yield piece

    async def aclose(self) -> None:
        await self._response.aclose()
