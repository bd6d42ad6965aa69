"""What goes out: a delivery, the parts an interface makes of it, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from core.contracts.inputs import Address
from core.contracts.json import JsonObject
from core.contracts.outcomes import Outcome

DEFAULT_TIME_TO_LIVE_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One button under a message; pressing it is an input of kind `button` whose data is `data`."""

    label: str
    data: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one address. `text` is CommonMark. `ttl_s`: seconds after which it is a dead letter."""

    address: Address
    text: str
    buttons: tuple[Button, ...] = ()
    ttl_s: float = DEFAULT_TIME_TO_LIVE_S
    tainted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one call of `send` sends, and one row of the outbox.

    id: the row's id, as text: the idempotency key where the platform takes one; "" until it is stored.
    text: plain text, the fallback. body: what the interface made of it (markup, entities, buttons).
    """

    address: Address
    text: str
    body: JsonObject = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The platform took the part; `message_id` is its own name for it, or ""."""

    message_id: str = ""


class LengthUnit(StrEnum):
    """How a platform counts the length of a text."""

    CHARACTERS = "characters"
    UTF16 = "utf16"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceLimits:
    """What a platform can do: text length (0: unbounded) and its unit, and the rest yes or no."""

    text_length: int = 0
    length_unit: LengthUnit = LengthUnit.CHARACTERS
    markdown: bool = False
    edits: bool = False
    buttons: bool = False
    threads: bool = False
    files: bool = False
    typing: bool = False
    idempotent_sends: bool = False


class ActivityKind(StrEnum):
    """What is being shown of a turn while it runs."""

    STARTED = "started"
    PROGRESS = "progress"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """An ephemeral sign of life of a turn, for typing signs and spinners; nothing depends on it.

    ENDED carries the `result` ("complete", "awaiting_approval", "aborted" or "error"), the approvals that it
    waits for, the types of the actions that came to nothing (`not_done`; a turn of a model can be complete all the
    same), why what it had to tell its chat could not be sent (`undelivered`: a hook holds it back, say), and comes
    after the turn's deliveries were sent or have failed. outcome: at the end of a call, what became
    of its action, as its caller may see it.
    """

    kind: ActivityKind
    address: Address
    input_id: int
    text: str = ""
    result: str = ""
    approval_ids: tuple[str, ...] = ()
    outcome: Outcome | None = None
    not_done: tuple[str, ...] = ()
    undelivered: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a component works, and if not, why and what to do."""

    ok: bool
    detail: str = ""
    cure: str = ""

    @property
    def sentence(self) -> str:
        """What is told of it: the detail, and the cure behind it where something is wrong."""
        return " ".join(filter(None, (self.detail, "" if self.ok else self.cure)))
