"""Protocols of the services that plugins, interfaces, engines and stages are handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from core.contracts.actions import Untrusted
from core.contracts.engine import EngineReply
from core.contracts.events import Events
from core.contracts.inputs import Principal
from core.contracts.json import Json, JsonObject
from core.contracts.messages import PluginMessages
from core.contracts.processes import Jobs, Sidecar
from core.contracts.schedule import Schedule
from core.contracts.slots import SlotSpec

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger  # importing it takes 90 ms; the contracts do not log

T = TypeVar("T")


class Clock(Protocol):
    """Time, so that tests can move it."""

    def now_ms(self) -> int:
        """Return UTC milliseconds since 1970."""

    def monotonic(self) -> float:
        """Return seconds that never go back, from any origin."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Database(Protocol):
    """The one write primitive and the one read primitive."""

    async def transact(self, fn: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run `fn(conn)` in a write transaction and return its result once that is committed.

        `fn` is synchronous, gets a SQLAlchemy Core connection, must not commit, and may be run again whole after
        a deadlock or a lost connection. `durable=False` lets a power cut (never a crash of the process) undo it.
        """

    async def read(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(conn)` on a snapshot and return its result."""


class KeyValueStore(Protocol):
    """Small durable values of one component: JSON under a text key of at most 190 characters."""

    async def get(self, key: str, default: Json = None) -> Json: ...

    async def set(self, key: str, value: Json) -> None: ...

    async def delete(self, key: str) -> None: ...


class Services(Protocol):
    """Objects that plugins offer each other by name."""

    def provide(self, name: str, service: object) -> None:
        """Offer `service`; it is withdrawn when the plugin stops. Raises DeclarationError if the name is taken."""

    def require(self, name: str) -> Any:
        """Return what another plugin offers; raises ServiceMissing."""

    async def call_plugin(self, name: str, action: str, payload: JsonObject) -> Json:
        """Run an action of the plugin `name` inside of the action that is running, and return its output as JSON.

        It is validated, authorized with the rights of whoever asked for the running action, and recorded like any
        other. Raises ActionFailed, with the reason, when it is not valid, not allowed, needs an approval or has
        failed; and where no action is running: in a job, a hook or `start`. It may touch no more than the running
        action has declared (`read`, then `local`, then `external`). What it reads from outside taints the outcome.
        """


class PluginEngines(Protocol):
    """Model calls of a plugin's own."""

    async def ask(
        self,
        messages: str | Untrusted | Sequence[str | Untrusted],
        *,
        instructions: str = "",
        principal: Principal | None = None,
        engine: str = "",
        model: str = "",
        temperature: float | None = None,
        max_output_tokens: int | None = None,
        timeout_s: float = 60.0,
    ) -> EngineReply:
        """Ask the model in use, and the engines behind it when it cannot answer.

        messages: what is asked, 256 KiB at most; text from outside is wrapped as `Untrusted`, and the action that
        asks is tainted by it. principal: whose budget it counts in; by default that of whoever asked for the action
        that is running, else of `plugin:NAME`, which has what a user has. engine, model: others than the chat's.
        timeout_s: seconds for everything, 600 at most. The hooks `before_llm` and `after_llm` see it. Nothing in the
        reply runs. Raises BudgetUsedUp, EngineRefused or EngineUnavailable.
        """


class PluginContext(Protocol):
    """What a started plugin is given as `self.context`.

    name: the plugin's own. data_directory: exists, for files of its own. timezone: the installation's IANA zone.
    rehearsal: whether this is a replay or a dry run: nothing outside may be touched, so jobs, sidecars, background
    tasks and subscribers are not begun, and `start` is to leave out what it would set going in another way.
    """

    @property
    def name(self) -> str: ...
    @property
    def data_directory(self) -> Path: ...
    @property
    def log(self) -> FilteringBoundLogger: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def timezone(self) -> str: ...
    @property
    def rehearsal(self) -> bool: ...
    @property
    def kv(self) -> KeyValueStore: ...
    @property
    def database(self) -> Database: ...
    @property
    def services(self) -> Services: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def events(self) -> Events: ...
    @property
    def engines(self) -> PluginEngines: ...
    @property
    def messages(self) -> PluginMessages: ...

    @property
    def jobs(self) -> Jobs: ...

    def contribute(self, slot: str, spec: SlotSpec) -> None:
        """Fill a named slot (`core.contracts.slots.SLOTS`) until the plugin stops; raises DeclarationError."""

    async def sidecar(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], bool | Awaitable[bool]] | None = None,
        ready_timeout_s: float = 30.0,
    ) -> Sidecar:
        """Start a server of the plugin's own, keep it going, and stop it with the plugin.

        argv: the program and its arguments; no shell. env: what it sees beside PATH, HOME and the like; nothing else
        of Rekku's environment. ready: asked ten times a second until it is True, one that raises means not yet;
        without it the server counts as ready at once. It is started again when it ends, after 1 s, 2 s and so on up
        to a minute. Raises RekkuError when it cannot be started or is not ready within ready_timeout_s.
        """

    async def actions_changed(self) -> None:
        """Have `get_supported_actions` read again: what it returns now holds from the next step on.

        For actions that are known only once the plugin has started, such as those of a server. Raises
        DeclarationError when they cannot be taken; then the old ones stand.
        """

    def spawn(self, job: Awaitable[None], name: str) -> None:
        """Run `job` in the background; it is cancelled when the component stops, and reported when it raises."""
