"""The context of an action that is run by a test, which keeps what the action did with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.contracts.actions import Untrusted, WriteFn
from core.contracts.deliveries import Delivery
from core.contracts.errors import ActionFailed
from core.contracts.inputs import Address, Origin, Principal, Role
from core.contracts.json import Json, JsonObject

SOMEBODY = Principal("test", "somebody")
"""Who asks where a test names nobody."""

SOMEWHERE = Address("test", "somebody")
"""The private chat with them."""


@dataclass(slots=True, kw_only=True)
class RecordedAction:
    """An `ActionContext`. reads: its effect is read, so it may neither write nor send.

    writes: the functions that were handed over. deliveries: what it sends. shown: its progress. undo: the payload for
    its compensation, or None. result: what it returned.
    """

    type: str = ""
    payload: JsonObject = field(default_factory=dict)
    reads: bool = False
    principal: Principal = SOMEBODY
    role: Role = Role.USER
    address: Address = SOMEWHERE
    origin: Origin = Origin.USER
    turn_id: int = 1
    action_id: str = "1.0.0"
    tainted: bool = False
    writes: list[WriteFn] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    undo: JsonObject | None = None
    result: Json | Untrusted = None

    def write(self, fn: WriteFn) -> None:
        """Keep a write; raises ActionFailed where the action only reads."""
        self._may_write()
        self.writes.append(fn)

    def send(self, text: str, to: Address | None = None) -> None:
        """Keep a message; raises ActionFailed where the action only reads."""
        self.deliver(Delivery(address=to or self.address, text=text, tainted=self.tainted))

    def deliver(self, delivery: Delivery) -> None:
        """Keep a delivery; raises ActionFailed where the action only reads."""
        self._may_write()
        self.deliveries.append(delivery)

    def compensate(self, payload: JsonObject) -> None:
        """Keep how it is taken back; raises ActionFailed where the action only reads."""
        self._may_write()
        self.undo = payload

    def progress(self, text: str) -> None:
        """Keep what is shown of the work."""
        self.shown.append(text)

    def _may_write(self) -> None:
        if self.reads:
            raise ActionFailed("An action with effect read cannot write or send.", cure='Declare effect="local".')
