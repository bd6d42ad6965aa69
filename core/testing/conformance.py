"""The conformance kit as a test: what `rekku plugins check` looks at."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from core.conformance.findings import FAILED, OK, Finding
from core.conformance.separate_process import check
from core.conformance.target import target_of, target_of_class


def check_plugin(
    plugin: type | Path | str,
    *,
    run_reads: bool = False,
    strict: bool = False,
    allowed: Collection[str] = (),
    timeout_s: float = 120.0,
) -> list[Finding]:
    """Check a plugin, interface or engine in a process of its own and return all findings.

    plugin: its class, which a module must have at its top, or the path of its file or folder. run_reads: run the
    actions whose effect is "read", too. strict: warnings count as well. allowed: names of checks that may fail.
    timeout_s: seconds that the process may take. Raises AssertionError that says what is wrong, where, and the cure.
    """
    target = target_of_class(plugin) if isinstance(plugin, type) else target_of(str(plugin), Path("/nonexistent"))
    findings = check(target, run_reads=run_reads, timeout_s=timeout_s)
    counts = {FAILED} if not strict else {state for state in (f.state for f in findings) if state != OK}
    wrong = [finding for finding in findings if finding.state in counts and finding.check not in allowed]
    if wrong:
        lines = [f"{one.check}: {one.detail} {one.cure} {one.where}".strip() for one in wrong]
        raise AssertionError("It does not keep to the rules:\n" + "\n".join(lines))
    return findings
