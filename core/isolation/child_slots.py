"""What a plugin in a process of its own fills slots with: the forms cross, their functions are called here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.contracts.slots import Gauge, HealthCheck, Mention, MessageRenderer, SlotSpec, StatusSegment
from core.isolation.child_functions import ChildFunctions
from core.isolation.peer import Peer
from core.near_names import suggestion
from core.services.slots import Slots


@dataclass(frozen=True, slots=True)
class ChildSlots:
    """The plugin's contributions; what is wrong with one by itself is told at once, as ever."""

    plugin: str
    peer: Peer
    functions: ChildFunctions
    _own: Slots = field(default_factory=lambda: Slots(suggestion, lambda kind, name: True))

    def contribute(self, slot: str, spec: SlotSpec) -> None:
        """Fill a slot until the plugin stops; raises DeclarationError."""
        self._own.contribute("plugin", self.plugin, slot, spec)
        form: dict[str, Any] = {}
        match spec:
            case StatusSegment():
                number = self.functions.keep(spec.text, f"{self.plugin} in /status")
            case Mention():
                number = self.functions.keep(spec.resolve, f"@{spec.name}")
                form = {"name": spec.name, "description": spec.description, "permission": str(spec.permission)}
            case HealthCheck():
                number = self.functions.keep(spec.check, spec.name)
                form = {"name": spec.name, "critical": spec.critical}
            case Gauge():
                number = self.functions.keep(spec.read, spec.name)
                form = {"name": spec.name, "description": spec.description}
            case MessageRenderer():
                number = self.functions.keep(spec.render, spec.name)
                form = {"name": spec.name, "interfaces": list(spec.interfaces)}
        self.peer.tell("contribute", slot, form, number)
