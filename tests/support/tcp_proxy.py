"""A proxy on loopback that cuts connections where a test wants it."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType


class TcpProxy:
    """`async with TcpProxy(port) as proxy`: passes everything on to a port until it is told otherwise.

    cut_after: a connection over which the client sends these bytes is cut once the server has had them, so that its
    answer never comes. refuses: new connections are closed at once.
    """

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self.cut_after = b""
        self.refuses = False
        self.cuts = 0
        self._to_port = to_port
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> TcpProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut_all()
        for pipe in list(self._pipes):
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    def cut_all(self) -> None:
        """Reset every connection there is."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, to_writer}
        both = (writer, to_writer)
        self._begin(self._pass_on(reader, to_writer, both, from_client=True))
        self._begin(self._pass_on(to_reader, writer, both, from_client=False))

    def _begin(self, pipe: object) -> None:
        task = asyncio.ensure_future(pipe)  # type: ignore[call-overload]
        self._pipes.add(task)
        task.add_done_callback(self._pipes.discard)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        both: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        *,
        from_client: bool,
    ) -> None:
        client, server = both
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                cut = from_client and self.cut_after and self.cut_after in data
                if cut:
                    client.transport.abort()  # before the server can answer
                writer.write(data)
                await writer.drain()
                if cut:
                    self.cuts += 1
                    server.close()  # what was written still arrives
                    break
        writer.close()
        self._writers -= {client, server}
