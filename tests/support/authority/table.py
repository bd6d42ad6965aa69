"""The authority matrix: every way in, every kind of impostor, every goal. A cell is tried once for each goal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from core.contracts.inputs import Role
from core.settings import Access

TELEGRAM, OTHER, CONSOLE = "telegram", "other", "console"
INTERFACES = (TELEGRAM, OTHER, CONSOLE)
TRAINER_ID = 7
TRAINER_NAME, TRAINER_USERNAME = "Tess", "tess"
CONTROL_IDS = range(700, 740)
"""Trainers, one for each way, who show that what an impostor is refused does work."""

ELSEWHERE = {TELEGRAM: "telegram:999", OTHER: "other:elsewhere", CONSOLE: "telegram:999"}
"""Where messages to another chat would arrive."""


class Goal(StrEnum):
    """What an impostor wants done."""

    TERMINAL = "terminal"
    ELSEWHERE = "elsewhere"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The settings of one app. trainers: TRAINER_IDS."""

    name: str
    access: Access
    trainers: frozenset[str]


_KNOWN = frozenset(f"{interface}:{TRAINER_ID}" for interface in INTERFACES)
OPEN = Situation(name="open", access=Access.OPEN, trainers=_KNOWN)
PAIRING = Situation(name="pairing", access=Access.PAIRING, trainers=_KNOWN)
ONLY_TRAINERS = Situation(name="trainers", access=Access.TRAINERS, trainers=_KNOWN)
NOBODY = Situation(name="no trainer at all", access=Access.OPEN, trainers=frozenset())
CROSSED = Situation(
    name="the id is a trainer's on another interface",
    access=Access.OPEN,
    trainers=frozenset({"other:7", "console:7", "telegram:8"}),
)
CONTROLS = Situation(
    name="controls",
    access=Access.OPEN,
    trainers=_KNOWN | {f"{interface}:{user_id}" for interface in INTERFACES for user_id in CONTROL_IDS},
)
SITUATIONS = (OPEN, PAIRING, ONLY_TRAINERS, NOBODY, CROSSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Impostor:
    """Somebody who is no trainer.

    heard: whether the model is asked at all when they speak to it. listed: the role that they have in the table of
    people. ids: by interface; others get an id of their own for each cell. forged: their updates carry fields that
    name the trainer as their sender. name, username: what they call themselves.
    """

    kind: str
    situation: Situation
    heard: bool = True
    listed: Role | None = None
    ids: Mapping[str, int] = field(default_factory=dict)
    forged: bool = False
    name: str = "Ada"
    username: str = ""


IMPOSTORS = (
    Impostor(kind="guest: a stranger where access is open", situation=OPEN),
    Impostor(kind="paired user", situation=PAIRING, listed=Role.USER),
    Impostor(kind="paired user where only trainers may talk", situation=ONLY_TRAINERS, listed=Role.USER, heard=False),
    Impostor(kind="blocked", situation=OPEN, listed=Role.BLOCKED, heard=False),
    Impostor(kind="stranger where access is by pairing", situation=PAIRING, heard=False),
    Impostor(kind="stranger where only trainers may talk", situation=ONLY_TRAINERS, heard=False),
    Impostor(kind="the trainer's display name", situation=OPEN, name=TRAINER_NAME),
    Impostor(kind="the trainer's username", situation=OPEN, username=TRAINER_USERNAME),
    Impostor(kind="forged sender fields", situation=OPEN, forged=True),
    Impostor(kind="TRAINER_IDS is empty", situation=NOBODY, ids=dict.fromkeys(INTERFACES, TRAINER_ID)),
    Impostor(kind="trainer on another interface", situation=CROSSED, ids={TELEGRAM: 7, OTHER: 8, CONSOLE: 8}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One way, one impostor, and all goals, each of which has an order of its own."""

    number: int
    interface: str
    way: str
    impostor: Impostor

    @property
    def name(self) -> str:
        """What the names of its orders begin with."""
        return f"cell-{self.number}-"

    @property
    def impostor_id(self) -> int:
        """The user id under which it is tried."""
        return self.impostor.ids.get(self.interface, 10_000 + self.number)

    @property
    def trainer_id(self) -> int:
        """Whose words or whose chat an impostor would use."""
        return 8 if self.impostor.situation is CROSSED and self.interface == TELEGRAM else TRAINER_ID

    def __str__(self) -> str:
        return f"{self.interface} / {self.way} / {self.impostor.kind}"


def order_name(beginning: str, goal: Goal) -> str:
    """Return what stands in an order, and so in whatever would come of it."""
    return f"{beginning}{goal}-"


def cells(ways: Mapping[str, Sequence[str]]) -> Iterator[Cell]:
    """Yield the cells of all ways, given by interface: the whole product, with nothing left out."""
    product = (
        (interface, way, impostor)
        for interface, names in ways.items()
        for way, impostor in itertools.product(names, IMPOSTORS)
    )
    for number, (interface, way, impostor) in enumerate(product):
        yield Cell(number=number, interface=interface, way=way, impostor=impostor)
