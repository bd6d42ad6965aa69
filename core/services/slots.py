"""What plugins have filled the slots with, withdrawn with the plugin."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar, cast

from core.contracts.actions import Permission
from core.contracts.errors import DeclarationError
from core.contracts.slots import SLOTS, Gauge, Mention, SlotSpec

T = TypeVar("T")

MOST_OF_A_PLUGIN = 50
_MENTION = re.compile(r"[^\W_][\w-]{0,39}")
_GAUGE = re.compile(r"[a-z][a-z0-9_]{0,60}")


class Slots:
    """All slots of one app."""

    def __init__(self, suggest: Callable[[str, list[str]], str]) -> None:
        """suggest: a sentence about which of some names may have been meant, or ""."""
        self._suggest = suggest
        self._filled: list[tuple[str, str, SlotSpec]] = []

    def contribute(self, plugin: str, slot: str, spec: object) -> None:
        """Fill a slot in the name of a plugin; raises DeclarationError for what does not fit."""
        if slot not in SLOTS:
            cure = self._suggest(str(slot), list(SLOTS)) or f"Use one of {', '.join(SLOTS)}."
            raise DeclarationError(f"{plugin}: there is no slot {slot}.", cure=cure)
        form = SLOTS[slot]
        if not isinstance(spec, form):
            raise DeclarationError(
                f"{plugin}: the slot {slot} is filled with a {form.__name__}, not a {type(spec).__name__}.",
                cure=f"from core.contracts.slots import {form.__name__}",
            )
        if sum(owner == plugin for owner, _, _ in self._filled) >= MOST_OF_A_PLUGIN:
            raise DeclarationError(f"{plugin} has filled {MOST_OF_A_PLUGIN} slots, which is the most.")
        self._check_name(plugin, slot, spec)
        self._filled.append((plugin, slot, cast(SlotSpec, spec)))

    def _check_name(self, plugin: str, slot: str, spec: object) -> None:
        if not isinstance(spec, Mention | Gauge):
            return
        pattern, cure = (_MENTION, "letters, digits, - and _") if slot == "mentions" else (_GAUGE, "a-z, 0-9 and _")
        if not isinstance(spec.name, str) or not pattern.fullmatch(spec.name):
            raise DeclarationError(f"{plugin}: {spec.name!r} cannot be a name in {slot}.", cure=f"Use {cure}.")
        if isinstance(spec, Mention) and spec.permission not in tuple(Permission):
            raise DeclarationError(
                f"{plugin}: {spec.permission!r} is no permission.", cure=f"Use one of {', '.join(Permission)}."
            )
        for owner, filled, other in self._filled:
            same = isinstance(other, Mention | Gauge) and other.name.casefold() == spec.name.casefold()
            if filled == slot and same and (slot == "mentions" or owner == plugin):
                raise DeclarationError(
                    f"{plugin}: {spec.name} in {slot} is {'its own' if owner == plugin else owner} already.",
                    cure="Give it another name.",
                )

    def of(self, slot: str, form: type[T]) -> list[tuple[str, T]]:
        """Return what fills a slot, with whose it is, in the order in which it came."""
        return [(plugin, spec) for plugin, filled, spec in self._filled if filled == slot and isinstance(spec, form)]

    def withdraw(self, plugin: str) -> None:
        """Take back what a plugin has contributed."""
        self._filled = [each for each in self._filled if each[0] != plugin]
