"""What is wrong with the connection at the moment, said once and not with every attempt."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from core.contracts.deliveries import Health


class Standing:
    """The state that `health` tells."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self.problem: Health | None = None

    def fails(self, detail: str, cure: str = "") -> None:
        """Something does not work; what was said before is not said again."""
        if self.problem is None or (self.problem.detail, self.problem.cure) != (detail, cure):
            self._log.error("Telegram does not work as it should", error=detail, cure=cure)
        self.problem = Health(ok=False, detail=detail, cure=cure)

    def works(self) -> None:
        """It works (again)."""
        if self.problem is not None:
            self._log.info("Telegram works again")
        self.problem = None
