"""The base of every interface: an adapter to one chat platform under one account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeAlias

from pydantic import BaseModel

from core.contracts.deliveries import Activity, Delivery, Health, InterfaceLimits, Part, Receipt
from core.contracts.inputs import Accepted, Address, Input, Principal
from core.contracts.json import Json
from core.contracts.services import PluginContext

Receive: TypeAlias = Callable[[Input], Awaitable[Accepted]]
"""`await receive(input)` returns once the input is durable; only then may it be acknowledged upstream."""

Moved: TypeAlias = Callable[[Address, Address], Awaitable[None]]
"""`await moved(old, new)`: a chat, threads included, has another address from now on; returns once that is stored."""


async def _nobody_is_told(old: Address, new: Address) -> None:
    """Stand for the app where there is none."""


class InterfaceBase:
    """Turns platform updates into inputs, and sends deliveries. `interfaces/<name>.py` exports `PLUGIN_CLASS`.

    `context`, `config` and `moved` are set before `start`.
    """

    limits: ClassVar[InterfaceLimits] = InterfaceLimits()
    attended: ClassVar[bool] = False
    """Somebody sits at it (a terminal): `rekku chat` starts it, `rekku run` does not."""
    for_people: ClassVar[bool] = True
    """People read what is sent there. Where programs do (False), nobody is asked for an approval."""

    name: str = ""
    context: PluginContext
    config: BaseModel
    moved: Moved = staticmethod(_nobody_is_told)
    """To be told when the platform gives a chat another id; raises StorageError when it could not be noted."""

    class Config(BaseModel):
        """The keys of `[interfaces.NAME]`."""

    @classmethod
    def configured(cls, config: BaseModel) -> str:
        """Return "" when there is enough configuration to start, else what is missing (the interface is off)."""
        return ""

    def local_trainers(self) -> frozenset[str]:
        """Return the user ids that this interface itself knows to be the owner (the console's, say)."""
        return frozenset()

    def private_address(self, user_id: str) -> Address | None:
        """Return where a user can be written to alone, or None."""
        return Address(self.name, user_id)

    async def start(self, receive: Receive) -> None:
        """Connect and begin to hand inputs to `receive`; returns once that runs."""
        raise NotImplementedError

    def render(self, delivery: Delivery) -> list[Part]:
        """Make the parts of a delivery: markup and splitting. Pure; their texts together are the original."""
        return [Part(address=delivery.address, text=delivery.text)]

    async def send(self, part: Part) -> Receipt:
        """Send one part; raises RetryLater or CannotDeliver. Any other error is tried again with a back-off."""
        raise NotImplementedError

    async def activity(self, activity: Activity) -> None:
        """Show an ephemeral sign of life; the default shows nothing."""

    async def stop(self) -> None:
        """Disconnect; afterwards nothing is handed to `receive` any more."""

    async def health(self) -> Health:
        """Tell whether the platform can be reached."""
        return Health(ok=True)

    async def export_person(self, principal: Principal) -> Json:
        """Return what the interface itself keeps of a person; see `AIPluginBase.export_person`."""
        return None

    async def erase_person(self, principal: Principal) -> int:
        """Delete what the interface itself keeps of a person; see `AIPluginBase.erase_person`."""
        return 0
