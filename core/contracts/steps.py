"""What a reply says once it is read, what a step was, and how a turn ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.contracts.actions import ActionEnvelope, ActionSpec
from core.contracts.json import JsonObject
from core.contracts.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Something in a reply that was not strict JSON and was read without losing anything.

    path: where, as `$.actions[0].payload.text`. what: in words, such as "trailing comma".
    """

    path: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyError:
    """Why a reply, or one action of it, cannot run. `index` is the action's place, None for the whole reply."""

    index: int | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedReply:
    """A reply as read. `actions` keeps the places: None where an error stands for that index."""

    actions: tuple[ActionEnvelope | None, ...] = ()
    errors: tuple[ReplyError, ...] = ()
    repairs: tuple[Repair, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether every action may go on."""
        return not self.errors


class CheckedAction(Protocol):
    """What validation needs of a catalogue entry: the spec, and its compiled schema's complaints."""

    @property
    def spec(self) -> ActionSpec: ...

    def complaints(self, payload: JsonObject) -> list[str]:
        """Return what the action's JSON Schema says against a payload, a sentence each, at most five."""


Catalogue = Mapping[str, CheckedAction]
"""The full catalogue by action type; a step pins one generation of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAction:
    """One action of a step: the envelope, its outcome, and the id of its ledger row (0 until it is stored).

    shown: what the model sees in the outcome's place, where a hook changed that; the ledger keeps `outcome`.
    """

    envelope: ActionEnvelope
    outcome: Outcome
    ledger_id: int = 0
    shown: Outcome | None = None

    @property
    def seen(self) -> Outcome:
        """The outcome as the model sees it."""
        return self.shown or self.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One engine call, the actions of its reply and their outcomes: a frozen record.

    number: 0 for the turn's first. tainted: its prompt held text that the principal did not write, or an outcome
    brought some.
    """

    number: int
    actions: tuple[RecordedAction, ...]
    tainted: bool = False


class Next(StrEnum):
    """What comes after a step."""

    STEP = "step"
    WAIT = "wait"
    END = "end"
    LIMIT = "limit"
