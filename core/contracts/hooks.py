"""The closed list of hooks that can change a turn, and what they are given and may answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.contracts.inputs import Address, Origin, Principal, Role


class HookKind(StrEnum):
    """How the answers of several plugins to one hook are put together.

    CHAIN: each is given the last one's value; None means no change. COLLECT: all answers, by plugin. NARROW: a
    chain that can only take away. GUARD: the first `Block` stops it; one that raises or is late blocks too.
    """

    CHAIN = "chain"
    COLLECT = "collect"
    NARROW = "narrow"
    GUARD = "guard"


HOOKS: Mapping[str, HookKind] = {
    "transform_input": HookKind.CHAIN,
    "resolve_session": HookKind.CHAIN,
    "gather_context": HookKind.COLLECT,
    "extend_system_prompt": HookKind.CHAIN,
    "filter_actions": HookKind.NARROW,
    "before_llm": HookKind.CHAIN,
    "after_llm": HookKind.CHAIN,
    "before_action": HookKind.GUARD,
    "after_action": HookKind.CHAIN,
    "before_delivery": HookKind.CHAIN,
}
"""Every hook and its kind."""


@dataclass(frozen=True, slots=True)
class Block:
    """Answer of a hook that stops what it was asked about; the reason is recorded and told."""

    reason: str


@dataclass(frozen=True, slots=True)
class Intercept:
    """Answer of `transform_input` that replies at once, without the model."""

    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """The session that a lane uses: its id, and the engine, model, persona and turn strategy chosen for it.

    "" is the default of each. A `resolve_session` that answers with the id of another session of the same lane has
    the turn take place in that one.
    """

    id: int
    engine: str = ""
    model: str = ""
    persona: str = ""
    strategy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """What a hook may know of the turn it is called in. `text` is what the principal wrote."""

    turn_id: int
    principal: Principal
    role: Role
    address: Address
    origin: Origin
    text: str = ""
    tainted: bool = False
    session: SessionView = field(default_factory=lambda: SessionView(id=0))
