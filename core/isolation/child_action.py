"""An action as its handler sees it in the plugin's own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.contracts.actions import ActionSpec, Effect, Untrusted, WriteFn
from core.contracts.deliveries import Delivery
from core.contracts.errors import ActionFailed
from core.contracts.inputs import Address, Origin, Principal, Role
from core.contracts.json import Json, JsonObject


@dataclass(slots=True, kw_only=True)
class ActionFacts:
    """The `ActionContext` on this side: what is known of the action, and what it has handed over so far."""

    spec: ActionSpec
    principal: Principal
    role: Role
    address: Address
    origin: Origin
    turn_id: int
    action_id: str
    tainted: bool
    show: Callable[[str], None]
    deliveries: list[Delivery]
    undo: JsonObject | None = None

    def write(self, fn: WriteFn) -> None:
        """Raises ActionFailed: a function cannot cross into Rekku's transaction."""
        raise ActionFailed(
            f'{self.spec.type}: ctx.write takes a function, which cannot leave a plugin with isolation = "process".',
            cure='Keep it with self.context.kv in an action with effect="external", or run the plugin without it.',
        )

    def send(self, text: str, to: Address | None = None) -> None:
        """Deliver `text` once this action is recorded as done."""
        self.deliver(Delivery(address=to or self.address, text=text, tainted=self.tainted))

    def deliver(self, delivery: Delivery) -> None:
        """Like `send`, with all that a delivery can say."""
        self._may_write()
        self.deliveries.append(delivery)

    def compensate(self, payload: JsonObject) -> None:
        """Say with which payload the action's `compensation` takes back what is done here."""
        self._may_write()
        if not self.spec.compensation:
            raise ActionFailed(f'{self.spec.type} has no compensation: declare it with compensation="…".')
        self.undo = payload

    def progress(self, text: str) -> None:
        """Show that work goes on."""
        self.show(text)

    def answer(self, result: Json | Untrusted) -> list[Json]:
        """Return what goes back to Rekku."""
        return [result, list(self.deliveries), self.undo]

    def _may_write(self) -> None:
        if self.spec.effect is Effect.READ:
            raise ActionFailed(
                "An action with effect read cannot write or send.",
                cure=f'Declare {self.spec.type} with effect="local".',
            )
