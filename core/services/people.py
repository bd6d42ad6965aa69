"""Who is who: roles from immutable ids, never from names or from what anybody says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import structlog

from core.contracts.inputs import Address, Principal, Role
from core.interface_base import InterfaceBase

log = structlog.get_logger("rekku.people")


class People:
    """Knows the role of every principal. `trainer_ids`: as `interface:user_id`. `strangers`: the role of the rest."""

    def __init__(
        self,
        trainer_ids: Iterable[str],
        strangers: Role,
        interfaces: Callable[[], Mapping[str, InterfaceBase]],
    ) -> None:
        self._trainer_ids = frozenset(trainer_ids)
        self._strangers = strangers
        self._interfaces = interfaces

    def role(self, principal: Principal) -> Role:
        """Return the role that a principal has now."""
        if str(principal) in self._trainer_ids:
            return Role.TRAINER
        interface = self._interfaces().get(principal.interface)
        if interface is not None and principal.user_id in _local_trainers(interface):
            return Role.TRAINER
        return self._strangers

    def alone(self, principal: Principal, address: Address) -> bool:
        """Whether a chat is the private one of a principal, in which nobody else talks."""
        interface = self._interfaces().get(principal.interface)
        return interface is not None and _private_address(interface, principal.user_id) == address

    def trainer_addresses(self) -> list[Address]:
        """Return the private chats in which trainers can be asked, on the interfaces that run."""
        addresses = []
        for name, interface in sorted(self._interfaces().items()):
            configured = {p.user_id for p in map(Principal.parse, self._trainer_ids) if p.interface == name}
            for user_id in sorted(configured | _local_trainers(interface)):
                address = _private_address(interface, user_id)
                if address is not None and address not in addresses:
                    addresses.append(address)
        return addresses


def _local_trainers(interface: InterfaceBase) -> frozenset[str]:
    """Return whom an interface vouches for; nobody, when it fails to say."""
    try:
        return frozenset(interface.local_trainers())
    except Exception as error:  # noqa: BLE001 - an interface is foreign code; one that is broken vouches for nobody
        log.error("an interface cannot say who its trainers are", interface=interface.name, error=str(error))
        return frozenset()


def _private_address(interface: InterfaceBase, user_id: str) -> Address | None:
    """Return where a user of an interface can be written to alone; None, when it fails to say."""
    try:
        address = interface.private_address(user_id)
    except Exception as error:  # noqa: BLE001 - likewise
        log.error("an interface cannot say how to reach somebody", interface=interface.name, error=str(error))
        return None
    return address if isinstance(address, Address) else None
