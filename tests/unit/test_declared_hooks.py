"""Hooks that cannot be called with what they are called with are refused when they are loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from core.conformance.hook_checks import sample_arguments
from core.contracts.errors import DeclarationError
from core.contracts.hooks import HOOKS
from core.registry.declared_hooks import check_hook, hook_parameters


def guard(turn: object) -> None: ...


def lenient(*args: object, more: int = 1) -> None: ...


def keyword(turn: object, value: object, *, more: int) -> None: ...


@pytest.mark.parametrize("call", [guard, keyword])
def test_a_hook_that_does_not_fit_is_refused_with_its_place_and_the_signature(call: Callable[..., Any]) -> None:
    name = call.__name__
    place = f"test_declared_hooks.py, line {call.__code__.co_firstlineno}"
    with pytest.raises(DeclarationError, match=re.escape(f"pond.{name} ({place})")) as refused:
        check_hook("pond", name, "before_action", call)
    assert refused.value.cure == f"Write async def {name}(self, turn, value)."


def test_a_hook_that_fits_is_taken() -> None:
    check_hook("pond", "guard", "gather_context", guard)
    check_hook("pond", "lenient", "after_action", lenient)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_parameters_are_those_that_the_checks_call_with(hook: str) -> None:
    assert len(hook_parameters(hook)) == len(sample_arguments(hook, ()))
