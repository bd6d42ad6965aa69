"""What the checks have found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from core.contracts.json import JsonObject

OK = "ok"
WARNING = "warning"
FAILED = "failed"

_RANK = {OK: 0, WARNING: 1, FAILED: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of one check.

    check: the check's name, such as "start". state: "ok", "warning" or "failed". detail: what was found, a sentence.
    cure: what to do, or "". where: file and line, as "coin.py:12", or "".
    """

    check: str
    state: str
    detail: str
    cure: str = ""
    where: str = ""

    def as_json(self) -> JsonObject:
        """Return it for programs."""
        return asdict(self)


class Findings:
    """Collects findings; a check that found nothing wrong is told as ok."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    def ok(self, check: str, detail: str) -> None:
        """Note that a check has passed, unless it has found something."""
        if not any(finding.check == check for finding in self.all):
            self.all.append(Finding(check=check, state=OK, detail=detail))

    def warn(self, check: str, detail: str, cure: str, where: str = "") -> None:
        """Note something that works, and should be otherwise."""
        self._add(Finding(check=check, state=WARNING, detail=detail, cure=cure, where=where))

    def fail(self, check: str, detail: str, cure: str = "", where: str = "") -> None:
        """Note something that is wrong."""
        self._add(Finding(check=check, state=FAILED, detail=detail, cure=cure, where=where))

    def _add(self, finding: Finding) -> None:
        if finding not in self.all:
            self.all.append(finding)


def worst(findings: Sequence[Finding]) -> str:
    """Return the worst state among them."""
    return max((finding.state for finding in findings), key=_RANK.__getitem__, default=OK)
