"""`rekku policy` as its users meet it: the gate's own answer, and rules without effect."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from tests.flows.test_command_line import answer, refused, rekku, written

RULES = """
[[policy.rules]]
name = "no two"
verdict = "deny"
action = "roll_dice"
arguments = { sides = "2" }

[[policy.rules]]
verdict = "ask"
action = "roll_*"
who = "role:user"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("policy") / "home", {"rekku.toml": RULES})


def explained(home: Path, *more: str, who: str = "telegram:5", action: str = "roll_dice") -> Any:
    given = ("policy", "explain", "--who", who, "--action", action, "--json", *more)
    return answer(rekku(home, *given, settings={"TRAINER_IDS": "telegram:1"}))


def test_the_rule_that_decides_is_named(home: Path) -> None:
    two = explained(home, "--payload", '{"sides": 2}', "--role", "user")
    assert (two["verdict"], two["decided_by"], two["rule"]) == ("deny", "rule", "no two")
    assert [one["rule"] for one in two["matched"]] == ["no two", "policy.rules[2]"]
    six = explained(home, "--payload", '{"sides": 6}', "--role", "user")
    assert (six["verdict"], six["rule"], six["complaints"]) == ("ask", "policy.rules[2]", [])


def test_permission_role_and_taint_decide(home: Path) -> None:
    nobody = explained(home)
    assert (nobody["decided_by"], nobody["stranger"]) == ("role", True)
    assert nobody["standing"] == "a stranger who is not paired yet"
    assert explained(home, "--role", "blocked")["standing"] == "blocked"
    assert explained(home, who="telegram:1")["role"] == "trainer"
    assert explained(home, who=f"console:{pwd.getpwuid(os.getuid()).pw_name}")["role"] == "trainer"
    may = explained(home, "--role", "guest", action="message", who="telegram:9")
    assert (may["verdict"], may["decided_by"], may["where"]) == ("allow", "permission", "telegram:9")
    elsewhere = ("--payload", '{"text": "x", "to": "telegram:7"}', "--tainted", "--where", "telegram:-100")
    taint = explained(home, *elsewhere, action="message", who="telegram:1")
    assert (taint["verdict"], taint["decided_by"], taint["rule"]) == ("ask", "taint", "")


def test_people_read_it_in_lines(home: Path) -> None:
    asked = ("--who", "telegram:5", "--role", "trainer", "--action", "roll_dice", "--payload", '{"sides": 2}')
    ended = rekku(home, "policy", "explain", *asked)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("deny: no two forbids it.\n")
    assert "decided by: the rule no two\n" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--who", "five", "--action", "roll_dice"), "is no principal"),
        (("--who", "telegram:5", "--action", "roll_dice", "--role", "king"), "write one of blocked"),
        (("--who", "telegram:5", "--action", "roll_dice", "--payload", "[1]"), "write a JSON object"),
        (("--who", "telegram:5", "--action", "roll_dice", "--payload", "{"), "no JSON"),
    ],
)
def test_what_cannot_be_asked_is_refused(home: Path, arguments: tuple[str, ...], says: str) -> None:
    ended = rekku(home, "policy", "explain", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert says in ended.stderr


def test_an_unknown_action_is_refused_with_the_nearest(home: Path) -> None:
    assert "Did you mean roll_dice?" in refused(
        rekku(home, "policy", "explain", "--who", "telegram:5", "--action", "role_dice"), 1
    )


def test_check_is_content_with_rules_that_have_an_effect(home: Path) -> None:
    assert answer(rekku(home, "policy", "check", "--json")) == []
    assert rekku(home, "policy", "check").stdout == "2 rules, and nothing is wrong.\n"


def test_check_finds_rules_without_effect(tmp_path: Path) -> None:
    wrong = RULES + (
        '[[policy.rules]]\nname = "late"\nverdict = "allow"\naction = "roll_dice"\nwho = "role:user"\n'
        '[[policy.rules]]\nverdict = "deny"\naction = "rol_dice"\n[[policy.rules]]\nverdict = "no"\n'
    )
    home = written(tmp_path / "home", {"rekku.toml": wrong})
    found = answer(rekku(home, "policy", "check", "--json"), status=1)
    assert [one["rule"] for one in found] == ["policy.rules[3]", "policy.rules[4]", "policy.rules[5]"]
    told = rekku(home, "policy", "check")
    assert told.returncode == 1
    assert "policy.rules[3] (late): policy.rules[2] says ask" in told.stdout
