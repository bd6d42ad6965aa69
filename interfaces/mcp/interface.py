"""The interface `mcp`: each call of a client is an input of its own, and its outcome is the result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from pydantic import BaseModel

from core.contracts.calls import ActionCalls
from core.contracts.deliveries import Activity, ActivityKind, InterfaceLimits, Part, Receipt
from core.contracts.errors import CannotDeliver, ConfigurationError, RekkuError
from core.contracts.inputs import Address, Input, InputKind, Principal
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.version import VERSION
from core.interface_base import InterfaceBase, Receive
from interfaces.mcp.calls_in_flight import CallsInFlight
from interfaces.mcp.config import McpConfig
from interfaces.mcp.tools import introduction, result_of, tools_of

if TYPE_CHECKING:
    from interfaces.mcp.http_server import HttpServer

MOST_CALLS = 16
LOOK_AGAIN_S = 2.0
INSTRUCTIONS = (
    "Actions of a Rekku, a self-hosted assistant. Each call goes through its gate and into its ledger. A call that "
    "waits for approval has not run; do not repeat it."
)


class McpInterface(InterfaceBase):
    """Serves the actions that one principal may use.

    `rekku mcp` calls `run_stdio`; with `listen` it also serves over HTTP for as long as it is started.
    """

    name = "mcp"

    class Config(McpConfig):
        """`[interfaces.mcp]`."""

    config: McpConfig
    limits: ClassVar[InterfaceLimits] = InterfaceLimits(markdown=True)
    for_people: ClassVar[bool] = False

    def __init__(self) -> None:
        self.calls: ActionCalls | None = None
        self._receive: Receive | None = None
        self._flight = CallsInFlight()
        self._said: list[str] = []
        self._slots = asyncio.Semaphore(MOST_CALLS)
        self._http: HttpServer | None = None
        self._talking: asyncio.Task[None] | None = None

    @property
    def attended(self) -> bool:  # type: ignore[override]
        """Whether it is served by `rekku mcp` alone: over HTTP it is one of the interfaces of `rekku run`."""
        return not self.config.listen

    @classmethod
    def configured(cls, config: BaseModel) -> str:
        """Return what is missing to serve over HTTP: nobody is let in there without a token."""
        assert isinstance(config, McpConfig)
        return "token is not set" if config.listen and config.token is None else ""

    @property
    def principal(self) -> Principal:
        """Who calls."""
        return Principal(self.name, self.config.principal)

    async def start(self, receive: Receive) -> None:
        """Begin to take calls over HTTP, where that is configured."""
        await asyncio.to_thread(_sdk)
        self._receive = receive
        if self.config.listen and self.config.token is not None:
            from interfaces.mcp.http_server import HttpServer

            self._http = HttpServer(self._server(), self.config.address, self.config.token)
            await self._http.start()

    @property
    def url(self) -> str:
        """Where it is reached over HTTP, "" where it is not."""
        return self._http.url if self._http is not None else ""

    async def run_stdio(self, read_fd: int, write_fd: int, drain_s: float) -> None:
        """Serve the client at the other end of two descriptors until the end of input, or until `stop` is called.

        What was read is answered before it ends, in so far as that takes `drain_s` seconds at most.
        """
        from interfaces.mcp.stdio import stdio_streams

        async def talk() -> None:
            server = self._server()
            async with stdio_streams(read_fd, write_fd, drain_s=drain_s) as (read, write):
                await server.run(read, write, server.create_initialization_options())

        self._talking = asyncio.create_task(talk(), name="MCP client on standard input")
        await asyncio.wait({self._talking})
        if not self._talking.cancelled():
            self._talking.result()

    async def stop(self) -> None:
        """Take no more calls."""
        self._receive = None
        if self._http is not None:
            await self._http.stop()
            self._http = None
        if self._talking is not None and not self._talking.done():
            self._talking.cancel()
            await asyncio.wait({self._talking}, timeout=5.0)

    async def send(self, part: Part) -> Receipt:
        """Keep what is said to a client that waits for its call; there is no way to speak to one that does not."""
        if not self._flight.begun:
            raise CannotDeliver("An MCP client hears nothing but the results of its calls.")
        self._said = [*self._said[-9:], part.text]
        return Receipt()

    async def activity(self, activity: Activity) -> None:
        """Note the end of a call."""
        if activity.kind is ActivityKind.ENDED:
            self._flight.ended(activity.input_id, activity.outcome)

    def _server(self) -> Any:
        from mcp.server.lowlevel import Server

        return Server(
            "rekku",
            version=VERSION,
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )

    async def _list_tools(self, ctx: Any, params: Any) -> Any:
        from mcp.types import ListToolsResult

        calls = self._ready()
        if not calls.welcome(self.principal):
            return ListToolsResult(tools=[introduction()])
        return ListToolsResult(tools=tools_of(calls.offered(self.principal, self._address)))

    async def _call_tool(self, ctx: Any, params: Any) -> Any:
        async with self._slots:
            if not self._flight.begun:
                self._said = []
            self._flight.begun += 1
            try:
                return result_of(await self._called(params.name, params.arguments or {}, _client_of(ctx)))
            finally:
                self._flight.begun -= 1

    async def _called(self, type_: str, payload: dict[str, Any], client: str) -> Outcome:
        calls = self._ready()
        receive = self._receive
        if receive is None:
            return Outcome(status=OutcomeStatus.SKIPPED, reason="Rekku is going down and takes no more calls.")
        data: dict[str, Any] = {"type": type_, "payload": payload}
        if self.config.trusted:
            data["trusted"] = True
        try:
            accepted = await receive(
                Input(
                    kind=InputKind.CALL,
                    principal=self.principal,
                    address=self._address,
                    dedupe_key=uuid4().hex,
                    author_name=client,
                    data=data,
                )
            )
        except RekkuError as error:
            return Outcome(status=OutcomeStatus.FAILED, reason=error.explain())
        while True:
            try:
                outcome = await self._flight.wait(accepted.input_id, LOOK_AGAIN_S)
            except TimeoutError:
                # Another process, on the same database, may have taken it up.
                outcome = await calls.ended(accepted.input_id)
                if outcome is None:
                    continue
            if outcome is not None:
                return outcome
            said, self._said = "\n".join(self._said), []
            return Outcome(status=OutcomeStatus.DENIED, reason=said or "It was not taken in.")

    def _ready(self) -> ActionCalls:
        if self.calls is None:
            raise RuntimeError("The interface mcp was not started by an app.")
        return self.calls

    @property
    def _address(self) -> Address:
        return Address(self.name, self.config.principal)


def _client_of(ctx: Any) -> str:
    """Return what a client calls itself: for people to read, it proves nothing."""
    params = getattr(ctx.session, "client_params", None)
    info = getattr(params, "client_info", None)
    name = "".join(c for c in str(getattr(info, "name", "") or "") if c.isprintable())
    return name[:60] or "an MCP client"


def _sdk() -> None:
    try:
        import mcp.server.lowlevel  # noqa: F401 - it takes a second: not on the event loop
    except ImportError as error:
        raise ConfigurationError(
            "The MCP SDK is not installed.", cure="pip install 'rekku[mcp]', or pip install 'mcp>=2.3,<3'."
        ) from error
