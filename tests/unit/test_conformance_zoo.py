"""The conformance kit catches each plugin of the zoo, with its sentence; what comes along passes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.conformance.findings import FAILED, OK, worst
from core.conformance.separate_process import check
from core.conformance.target import Target
from core.registry.discovery import PACKAGES, discover
from tests.support.plugin_zoo import ZOO

BUILT_IN = {f"{kind}-{one.name}": one for kind in PACKAGES for one in discover(kind)}


@pytest.mark.parametrize("name", ZOO)
def test_each_animal_is_caught(tmp_path: Path, name: str) -> None:
    animal = ZOO[name]
    file = tmp_path / f"{name}.py"
    file.write_text(animal.source, encoding="utf-8")
    findings = check(Target(path=file), run_reads=animal.reads)
    caught = [one for one in findings if one.check == animal.check and animal.sentence in one.detail]
    assert caught, findings
    assert caught[0].state == animal.state
    assert caught[0].cure or animal.check == "declaration"
    others = [one for one in findings if one.state == FAILED and one.check != animal.check]
    assert others == [], "it breaks one rule only"


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_comes_along_passes(name: str) -> None:
    findings = check(Target(path=Path(BUILT_IN[name].source)), run_reads=True)
    assert worst(findings) != FAILED, [one for one in findings if one.state != OK]
    assert len(findings) > 5
