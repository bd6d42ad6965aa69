"""Known secrets are masked however they are written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr

from core.contracts.errors import ConfigurationError
from core.registry.configuration import config_secrets
from core.services.mask import Masker

SECRET = 'a"b\\c/d&e=f é:1'


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps({"in": [SECRET]}, ensure_ascii=False),
        repr(SECRET),
        f"https://x/?q={quote(SECRET, safe='')}",
        f"https://x/{quote(SECRET)}",
        f"q={quote_plus(SECRET)}",
    ],
)
def test_a_secret_in_any_spelling(written: str) -> None:
    masker = Masker()
    masker.learn("KEY", SECRET)
    masked = masker.text(f"before {written} after")
    assert "[KEY]" in masked
    assert "d&e" not in masked
    assert "d%26e" not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


def test_a_secret_inside_another_one() -> None:
    masker = Masker()
    masker.learn("SHORT", "secret")
    masker.learn("LONG", "a secret indeed")
    assert masker.text("a secret indeed, a secret") == "[LONG], a [SHORT]"
    assert masker.value({"a secret indeed": ["secret", 5, None]}) == {"[LONG]": ["[SHORT]", 5, None]}


class Inner(BaseModel):
    word: SecretStr


class Nested(BaseModel):
    phrase: SecretStr = SecretStr("of a default")
    many: list[SecretStr] = []
    by_name: dict[str, Inner] = {}
    raw: SecretBytes | None = None
    shown: str = "not secret"


def test_secrets_are_found_by_their_type_and_not_by_their_key() -> None:
    config = Nested(
        many=[SecretStr("number one"), SecretStr("number two")],
        by_name={"x": Inner(word=SecretStr("in a table"))},
        raw=SecretBytes(b"bytes, too"),
    )
    assert dict(config_secrets("plugins.p", config)) == {
        "plugins.p.phrase": "of a default",
        "plugins.p.many[0]": "number one",
        "plugins.p.many[1]": "number two",
        "plugins.p.by_name.x.word": "in a table",
        "plugins.p.raw": "bytes, too",
    }


def test_a_short_secret_is_refused_and_not_quoted() -> None:
    with pytest.raises(ConfigurationError) as caught:
        list(config_secrets("plugins.p", Nested(phrase=SecretStr("tiny"))))
    assert "phrase" in caught.value.explain()
    assert "tiny" not in caught.value.explain()


CHILD = """
import os, subprocess
from core.settings import drop_from_environment
print(sorted(drop_from_environment(["the-secret-value", "ollama"])))
print(os.environ.get("PLAIN"), "TOKEN" in os.environ, "HIDDEN_IN" in os.environ)
print(subprocess.run(["/usr/bin/env"], capture_output=True, text=True).stdout.count("the-secret-value"))
own = open("/proc/self/environ", "rb").read()
print(own.count(b"the-secret-value"), own.count(b"PLAIN=kept"), b"PATH=" in own)
"""


def test_secrets_leave_the_environment_of_the_process_and_of_its_children() -> None:
    given = {
        "PATH": os.environ["PATH"],
        "TOKEN": "the-secret-value",
        "PLAIN": "kept",
        "HIDDEN_IN": "https://x/?k=the-secret-value#y",
        "KEY_OF_ANY": "ollama",
        "MODELS": "/opt/ollama/models",
    }
    ran = subprocess.run([sys.executable, "-c", CHILD], env=given, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["['HIDDEN_IN', 'KEY_OF_ANY', 'TOKEN']", "kept False False", "0", "0 1 True"]
