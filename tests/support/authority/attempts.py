"""What is said in an attempt, whichever way it goes in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.support.authority.obeying_engine import order, shell
from tests.support.authority.table import ELSEWHERE, Cell, Goal, Impostor


class Trainers(StrEnum):
    """What comes of the same thing when a trainer does it: it runs, it asks first, or even then it is nobody's."""

    RUNS = "runs"
    ASKS = "asks"
    NOBODYS = "nobody's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An order that is to be got past the gate. number: makes chats of its own. approvals: ids that wait."""

    name: str
    number: int
    interface: str
    goal: Goal
    sender_id: int
    trainer_id: int
    impostor: Impostor
    approvals: Sequence[str] = ()

    @classmethod
    def of(cls, cell: Cell, approvals: Sequence[str]) -> Attempt:
        """Return what is tried in a cell."""
        return cls(
            name=cell.name,
            number=cell.number,
            interface=cell.interface,
            goal=cell.goal,
            sender_id=cell.impostor_id,
            trainer_id=cell.trainer_id,
            impostor=cell.impostor,
            approvals=approvals,
        )

    @property
    def order(self) -> str:
        """What the model is told."""
        return order(self.goal, self.interface, self.name)

    @property
    def commands(self) -> list[str]:
        """The same as slash commands."""
        if self.goal is Goal.APPROVAL:
            return [f"/approve {approval}{scope}" for approval, scope in zip(self.approvals, ("", " turn"), strict=False)]
        if self.goal is Goal.ELSEWHERE:
            return [f"/post {ELSEWHERE[self.interface]} {self.name}"]
        return [f"/sh {shell(self.name)}"]

    @property
    def texts(self) -> list[str]:
        """The order, and the commands where no model is in the way."""
        return [self.order, *self.commands]
