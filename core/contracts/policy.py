"""What the gate is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from core.contracts.actions import ActionSpec
from core.contracts.inputs import Address, Principal, Role
from core.contracts.json import JsonObject


class Verdict(StrEnum):
    """What the gate says, mildest first."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"

    @property
    def strictness(self) -> int:
        """0 for allow up to 2 for deny."""
        return (Verdict.ALLOW, Verdict.ASK, Verdict.DENY).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May this action run? `payload` None asks about all payloads at once, for the catalogue.

    address: the chat that it is asked in. tainted: whether the step has seen text that its principal did not write.
    """

    spec: ActionSpec
    payload: JsonObject | None
    principal: Principal
    role: Role
    address: Address
    tainted: bool = False

    @property
    def goes_elsewhere(self) -> bool:
        """Whether the payload names another address than the current chat."""
        if self.payload is None or not self.spec.destination_field:
            return False
        destination = self.payload.get(self.spec.destination_field)
        return destination is not None and destination != str(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The gate's answer, the reason in a sentence, and the rule that made it ("" for the action's permission).

    tainted: it asks also because of text that the principal did not write.
    """

    verdict: Verdict
    reason: str
    rule: str = ""
    tainted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One `[[policy.rules]]` entry, read. `matches` may raise: the gate denies then.

    name: what people are told, such as "policy.rules[2]". any_payload: it does not look at the payload.
    """

    name: str
    verdict: Verdict
    matches: Callable[[Question], bool]
    any_payload: bool
