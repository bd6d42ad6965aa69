"""What became of an action."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.contracts.json import Json, JsonObject


class OutcomeStatus(StrEnum):
    """How an action ended.

    UNKNOWN: it touched the world and its end was not seen; it is never repeated by itself.
    """

    DONE = "done"
    FAILED = "failed"
    DENIED = "denied"
    SKIPPED = "skipped"
    AWAITING_APPROVAL = "awaiting_approval"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one action, with its reason.

    output: what the handler returned (JSON), shown to the model in this turn only.
    reason: why it was not done, or by which rule it was allowed; one sentence.
    tainted: its output is text from outside.
    approval_id: with AWAITING_APPROVAL, what `/approve` takes.
    """

    status: OutcomeStatus
    reason: str = ""
    output: Json = None
    tainted: bool = False
    approval_id: str = ""

    @property
    def has_output(self) -> bool:
        """Whether there is something that the model has not seen yet."""
        return self.status is OutcomeStatus.DONE and self.output is not None

    def as_json(self) -> JsonObject:
        """Return what the model is shown: the status, and the output or the reason where there is one."""
        shown: JsonObject = {"status": self.status.value}
        if self.output is not None:
            shown["output"] = self.output
        if self.reason and self.status is not OutcomeStatus.DONE:
            shown["reason"] = self.reason
        if self.approval_id:
            shown["approval_id"] = self.approval_id
        return shown
