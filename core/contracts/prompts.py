"""What a prompt is built from, and what was built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.contracts.actions import ActionSpec, Untrusted
from core.contracts.engine import EngineRequest
from core.contracts.inputs import Input
from core.contracts.json import Json
from core.contracts.steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of history. role: user, foreign (not written by its principal), assistant, actions (what was done)."""

    role: str
    text: str
    author: str = ""
    tainted: bool = False
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueBudget:
    """What the actions may take of a prompt.

    room: bytes. whole: the names, or beginnings of names with a *, of what is to be told whole before others.
    """

    room: int
    whole: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a plugin has added to the message of a turn. tainted: it is text from outside."""

    id: int
    plugin: str
    text: str
    tainted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueTexts:
    """What the model is told of the actions that it may use; see `EngineRequest` for the two texts.

    untold: by type, the line that tells an action whole, of those that the texts do not.
    """

    specs: tuple[ActionSpec, ...]
    full: str
    brief: str
    schema: Mapping[str, Json] | None
    untold: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How large each section of a prompt may get, in bytes of UTF-8."""

    history: int
    summary: int
    context: int
    context_per_plugin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptParts:
    """Everything that a prompt is built from. `history`: oldest first. `steps`: of this turn, already taken.

    instruction: what the turn strategy says for this step, or "".
    """

    instructions: str
    catalogue: CatalogueTexts
    budget: Budget
    input: Input
    summary: str = ""
    summary_tainted: bool = False
    history: Sequence[Line] = ()
    context: Mapping[str, str | Untrusted] = field(default_factory=dict)
    notes: Sequence[Note] = ()
    steps: Sequence[Step] = ()
    instruction: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A request, whether it holds text that the principal did not write, and the bytes of each section.

    history_left_out: rows of history that did not fit any more. untold: see `CatalogueTexts`.
    """

    request: EngineRequest
    tainted: bool
    shares: Mapping[str, int]
    history_left_out: int = 0
    untold: Mapping[str, str] = field(default_factory=dict)
