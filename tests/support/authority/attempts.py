"""What is said in an attempt, whichever way it goes in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.support.authority.obeying_engine import order, shell
from tests.support.authority.table import ELSEWHERE, Cell, Goal, Impostor, order_name


class Trainers(StrEnum):
    """What comes of the same thing when a trainer does it: it runs, it asks first, or even then it is nobody's."""

    RUNS = "runs"
    ASKS = "asks"
    NOBODYS = "nobody's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Orders that are to be got past the gate, one for each goal.

    name: what the names of its orders begin with. number: makes chats of its own. approvals: ids that wait.
    """

    name: str
    number: int
    interface: str
    sender_id: int
    trainer_id: int
    impostor: Impostor
    approvals: Sequence[str] = ()
    goals: Sequence[Goal] = tuple(Goal)

    @classmethod
    def of(cls, cell: Cell, approvals: Sequence[str]) -> Attempt:
        """Return what is tried in a cell; every other one tries the other approval first."""
        return cls(
            name=cell.name,
            number=cell.number,
            interface=cell.interface,
            sender_id=cell.impostor_id,
            trainer_id=cell.trainer_id,
            impostor=cell.impostor,
            approvals=approvals if cell.number % 2 else approvals[::-1],
        )

    @property
    def orders(self) -> str:
        """What the model is told."""
        return " ".join(self._order(goal) for goal in self.goals)

    @property
    def commands(self) -> list[str]:
        """The same as slash commands, one for each goal."""
        return [self._command(goal) for goal in self.goals]

    @property
    def texts(self) -> list[str]:
        """One text for each goal: it begins as the command, and holds the order."""
        return [f"{self._command(goal)}\n{self._order(goal)}" for goal in self.goals]

    def _order(self, goal: Goal) -> str:
        return order(goal, self.interface, order_name(self.name, goal))

    def _command(self, goal: Goal) -> str:
        if goal is Goal.APPROVAL:
            return f"/approve {self.approvals[0]} turn" if self.approvals else "/approve none"
        if goal is Goal.ELSEWHERE:
            return f"/post {ELSEWHERE[self.interface]} {order_name(self.name, goal)}"
        return f"/sh {shell(order_name(self.name, goal))}"
