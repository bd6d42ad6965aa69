"""One thing that was examined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.contracts.json import JsonObject

OK = "ok"
OFF = "off"
WARNING = "warning"
FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """state: OK, OFF (not configured, or disabled), WARNING or FAILED. cure: what to do, or ""."""

    area: str
    name: str
    state: str
    detail: str = ""
    cure: str = ""

    def masked(self, mask: Callable[[str], str]) -> Check:
        """Return it without secrets."""
        return replace(self, detail=mask(self.detail), cure=mask(self.cure))

    def as_json(self) -> JsonObject:
        """Return it for programs."""
        names = ("area", "name", "state", "detail", "cure")
        return {name: getattr(self, name) for name in names}
