"""Arguments of decorators that are misspelt or missing: told with the method, its place, and what was meant."""

from __future__ import annotations

from typing import Any

import pytest

from core import ai_plugin_base
from core.contracts.errors import DeclarationError

WRONG = [
    ('action(effct="read")', "@action has no argument effct", "Did you mean effect?"),
    ('action(effect="read", comand="roll")', "@action has no argument comand", "Did you mean command?"),
    ("action()", "@action: missing a required argument: 'effect'", "Write @action(effect=…)."),
    ("action", "@action is used without its arguments", "Write @action(effect=…) above the method."),
    ("every(minuts=3)", "@every has no argument minuts", "Did you mean minutes?"),
    ("every", "@every is used without its arguments", "Write @every(…)"),
    ('hook("before_llm", prioritty=3)', "@hook has no argument prioritty", "Did you mean priority?"),
    ('on("turn.*", stag="filter")', "@on has no argument stag", "Did you mean stage?"),
    ('strategy("careful", timeout=3)', "@strategy has no argument timeout", "Did you mean timeout_s?"),
]


@pytest.mark.parametrize(("decorator", "what", "cure"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_argument_names_the_method_and_what_was_meant(decorator: str, what: str, cure: str) -> None:
    source = f"class Dice:\n    @{decorator}\n    async def roll(self) -> None:\n        'Roll.'\n"
    names: dict[str, Any] = {name: getattr(ai_plugin_base, name) for name in ai_plugin_base.__all__}
    with pytest.raises(DeclarationError) as caught:
        exec(compile(source, "/somewhere/dice.py", "exec"), names)
    said = caught.value.explain()
    assert said.startswith(f"Dice.roll (dice.py, line 2): {what}.")
    assert cure in said
