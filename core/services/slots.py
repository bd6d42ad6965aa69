"""What plugins have filled the slots with, withdrawn with the plugin."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from core.contracts.actions import Permission
from core.contracts.errors import DeclarationError
from core.contracts.slots import SLOTS, Gauge, HealthCheck, Mention, MessageRenderer, SlotSpec

T = TypeVar("T")

MOST_OF_A_PLUGIN = 50
_MENTION = re.compile(r"[^\W_][\w-]{0,39}")
_LOWER = re.compile(r"[a-z][a-z0-9_]{0,60}")
_EASTERN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"})
DECLARED = {"commands": "Return it from `command_groups`: the command line does not start the plugin."}
NAMED = Mention | Gauge | HealthCheck | MessageRenderer
OF_ALL = ("mentions", "renderers")
"""Slots in which a name is there once among all plugins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filled:
    kind: str
    owner: str
    slot: str
    spec: SlotSpec


def _misleading(name: str) -> str:
    """Return why a name can be taken for another one that looks the same, or "".

    As UTS 39 (Unicode Security Mechanisms) has it: letters of one script only, those of the East and Latin ones
    aside, and in their plain form.
    """
    if unicodedata.normalize("NFKC", name) != name:
        return "has letters in another form than the plain one"
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in name if letter.isalpha()}
    if len(scripts) > 1 and not scripts <= _EASTERN | {"LATIN"}:
        return "has letters of several scripts"
    return ""


class Slots:
    """All slots of one app."""

    def __init__(self, suggest: Callable[[str, list[str]], str], in_use: Callable[[str, str], bool]) -> None:
        """suggest: a sentence about which of some names may have been meant, or "".

        in_use: whether a component, by kind and name, is; nothing of any other is told of.
        """
        self._suggest = suggest
        self._in_use = in_use
        self._filled: list[_Filled] = []

    def contribute(self, kind: str, owner: str, slot: str, spec: object) -> None:
        """Fill a slot in the name of a component; raises DeclarationError for what does not fit."""
        if slot not in SLOTS:
            cure = (
                DECLARED.get(str(slot), "")
                or self._suggest(str(slot), list(SLOTS))
                or f"Use one of {', '.join(SLOTS)}."
            )
            raise DeclarationError(f"{owner}: there is no slot {slot}.", cure=cure)
        form = SLOTS[slot]
        if not isinstance(spec, form):
            raise DeclarationError(
                f"{owner}: the slot {slot} is filled with a {form.__name__}, not a {type(spec).__name__}.",
                cure=f"from core.contracts.slots import {form.__name__}",
            )
        if sum((one.kind, one.owner) == (kind, owner) for one in self._filled) >= MOST_OF_A_PLUGIN:
            raise DeclarationError(f"{owner} has filled {MOST_OF_A_PLUGIN} slots, which is the most.")
        self._check_name(owner, slot, spec)
        self._filled.append(_Filled(kind=kind, owner=owner, slot=slot, spec=cast(SlotSpec, spec)))

    def _check_name(self, owner: str, slot: str, spec: object) -> None:
        if not isinstance(spec, NAMED):
            return
        pattern, cure = (_MENTION, "letters, digits, - and _") if slot == "mentions" else (_LOWER, "a-z, 0-9 and _")
        if not isinstance(spec.name, str) or not pattern.fullmatch(spec.name):
            raise DeclarationError(f"{owner}: {spec.name!r} cannot be a name in {slot}.", cure=f"Use {cure}.")
        if wrong := _misleading(spec.name):
            raise DeclarationError(f"{owner}: {spec.name!r} in {slot} {wrong}.", cure="Give it a plain name.")
        if isinstance(spec, Mention) and spec.permission not in tuple(Permission):
            raise DeclarationError(
                f"{owner}: {spec.permission!r} is no permission.", cure=f"Use one of {', '.join(Permission)}."
            )
        if isinstance(spec, MessageRenderer) and not isinstance(spec.interfaces, tuple):
            raise DeclarationError(
                f"{owner}: the interfaces of {spec.name} are no tuple.", cure='Write interfaces=("telegram",).'
            )
        for other in self._filled:
            same = isinstance(other.spec, NAMED) and other.spec.name.casefold() == spec.name.casefold()
            if other.slot == slot and same and (slot in OF_ALL or other.owner == owner):
                whose = "its own" if other.owner == owner else other.owner
                raise DeclarationError(
                    f"{owner}: {spec.name} in {slot} is {whose} already.", cure="Give it another name."
                )

    def of(self, slot: str, form: type[T]) -> list[tuple[str, T]]:
        """Return what fills a slot, with whose it is, in the order in which it came; of what is in use alone."""
        return [
            (one.owner, one.spec)
            for one in self._filled
            if one.slot == slot and isinstance(one.spec, form) and self._in_use(one.kind, one.owner)
        ]

    def withdraw(self, kind: str, owner: str) -> None:
        """Take back what a component has contributed."""
        self._filled = [one for one in self._filled if (one.kind, one.owner) != (kind, owner)]
