"""Who is who: roles from immutable ids, never from names or from what anybody says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from core.contracts.inputs import Address, Principal, Role
from core.contracts.services import Database
from core.interface_base import InterfaceBase
from core.services import roles
from core.settings import Access

log = structlog.get_logger("rekku.people")


class People:
    """Knows the role of every principal, without a look at the database: that is on every turn's way.

    trainer_ids: as `interface:user_id`; nobody else is ever a trainer but whom an interface knows to be its owner.
    The other roles are kept from the table `people`, see `refresh`. access: what everybody else is; with TRAINERS
    the table counts for nothing but what it blocks.
    """

    def __init__(
        self, trainer_ids: Iterable[str], access: Access, interfaces: Callable[[], Mapping[str, InterfaceBase]]
    ) -> None:
        self.access = access
        self._trainer_ids = frozenset(trainer_ids)
        self._strangers = Role.GUEST if access is Access.OPEN else Role.BLOCKED
        self._interfaces = interfaces
        self._roles: dict[str, Role] = {}
        self._revision = 0
        self._unsure = True
        self._notes = 0

    def role(self, principal: Principal) -> Role:
        """Return the role that a principal has now."""
        text = str(principal)
        if text in self._trainer_ids:
            return Role.TRAINER
        interface = self._interfaces().get(principal.interface)
        if interface is not None and principal.user_id in _local_trainers(interface):
            return Role.TRAINER
        if self.access is Access.TRAINERS:
            return Role.BLOCKED
        return self._roles.get(text, self._strangers)

    def shut_out(self, principal: Principal) -> bool:
        """Whether a principal was blocked by name, and is not just unknown."""
        return self._roles.get(str(principal)) is Role.BLOCKED

    async def refresh(self, database: Database) -> None:
        """Read the roles again, if they may have changed since."""
        if not self._unsure and await database.read(roles.revision) == self._revision:
            return
        notes = self._notes
        # Behind the transaction of a change that was noted, which a mere read could overtake.
        revision, known = await database.transact(
            lambda conn: (roles.revision(conn), roles.everyone(conn)), durable=False
        )
        if notes == self._notes:
            self._revision, self._roles, self._unsure = revision, known, False

    def note(self, principal: Principal, role: Role | None) -> None:
        """Change what is known of a principal, in the transaction that writes it; None: nothing any more.

        The transaction may still be undone, so the next `refresh` looks at what the table really says.
        """
        changed: dict[str, Any] = {**self._roles}
        changed.pop(str(principal), None)
        if role is not None:
            changed[str(principal)] = role
        self._notes += 1
        self._roles = changed
        self._unsure = True

    def alone(self, principal: Principal, address: Address) -> bool:
        """Whether a chat is the private one of a principal, in which nobody else talks."""
        interface = self._interfaces().get(principal.interface)
        return interface is not None and _private_address(interface, principal.user_id) == address

    def trainer_addresses(self) -> list[Address]:
        """Return the private chats in which trainers can be asked, on the interfaces that run."""
        addresses = []
        for name, interface in sorted(self._interfaces().items()):
            if not interface.for_people:
                continue
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
