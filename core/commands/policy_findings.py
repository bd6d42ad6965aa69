"""Rules that have no effect: what they name is not there, or a stricter rule stands in front of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from core.contracts.actions import ActionSpec
from core.contracts.inputs import Role
from core.contracts.json import Json, JsonObject
from core.contracts.policy import Verdict
from core.near_names import suggestion
from core.services.policy import read_each
from core.turn.stages.authorize import NEVER_ASKED

_WILD = "*?["


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """rule: its place, such as "policy.rules[2]". name: its own name, or the place. problem: one sentence.

    note: the rule is sound, and does not do all that it seems to.
    """

    rule: str
    name: str
    problem: str
    cure: str = ""
    note: bool = False

    def as_json(self) -> JsonObject:
        """Return it for programs."""
        return {"rule": self.rule, "name": self.name, "problem": self.problem, "cure": self.cure, "note": self.note}


def policy_findings(
    tables: Sequence[Mapping[str, Json]], actions: Mapping[str, ActionSpec], interfaces: Collection[str]
) -> list[Finding]:
    """Return what is wrong with the rules, in their order.

    actions: all that are known, by type. interfaces: the names of all that are known, configured or not.
    """
    rules, wrong = read_each(tables)
    readable = {
        place: table
        for place, table in ((f"policy.rules[{n}]", table) for n, table in enumerate(tables, 1))
        if place in rules
    }
    found = [Finding(rule=place, name=place, problem=mistake) for place, mistake in wrong.items()]
    for place, table in readable.items():
        problems = [*_actions(table, actions), *_people(table, interfaces)]
        problems = problems or _never_asks(table, actions) or _shadowed(place, readable, actions)
        found += [Finding(rule=place, name=rules[place].name, problem=what, cure=cure) for what, cure in problems]
        if not problems and (note := _not_asked(table, actions)):
            found.append(Finding(rule=place, name=rules[place].name, problem=note, note=True))
    order = {f"policy.rules[{n}]": n for n in range(1, len(tables) + 1)}
    return sorted(found, key=lambda finding: order[finding.rule])


def _never_asks(table: Mapping[str, Json], actions: Mapping[str, ActionSpec]) -> list[tuple[str, str]]:
    """Return (problem, cure) of a rule that asks about nothing but what decides about approvals."""
    named = {type_ for type_ in actions if _named(type_, table)}
    if table["verdict"] != Verdict.ASK or not named or named - NEVER_ASKED:
        return []
    what = " and ".join(sorted(named))
    return [(f"{what} decides about approvals and is never asked about: it has no effect.", "Deny it, or leave it.")]


def _not_asked(table: Mapping[str, Json], actions: Mapping[str, ActionSpec]) -> str:
    """Return what a rule that asks does not ask about though it matches, in a sentence, or ""."""
    matched = [actions[type_] for type_ in sorted(NEVER_ASKED & actions.keys()) if _named(type_, table)]
    if table["verdict"] != Verdict.ASK or not matched or table.get("arguments"):
        return ""
    commands = ", ".join(f"/{spec.command}" if spec.command else spec.type for spec in matched)
    return f"{commands} decide about approvals: they are never asked about, or nothing could be approved."


def _texts(table: Mapping[str, Json], key: str) -> list[str]:
    given = table.get(key, "*")
    return list(given) if isinstance(given, list) else [str(given)]


def _actions(table: Mapping[str, Json], actions: Mapping[str, ActionSpec]) -> list[tuple[str, str]]:
    """Return (problem, cure) of the actions and arguments that a rule names."""
    found = []
    for pattern in _texts(table, "action"):
        if not any(fnmatchcase(type_, pattern) for type_ in actions):
            found.append((f"There is no action {pattern}: it never matches.", suggestion(pattern, actions)))
    fields = list(table.get("arguments", {}))
    matched = [spec for type_, spec in actions.items() if _named(type_, table)]
    if fields and matched and not any(all(_takes(spec, field) for field in fields) for spec in matched):
        found.append(_missing(fields, matched))
    return found


def _named(type_: str, table: Mapping[str, Json]) -> bool:
    return any(fnmatchcase(type_, pattern) for pattern in _texts(table, "action"))


def _takes(spec: ActionSpec, field: str) -> bool:
    return field in spec.fields or spec.schema.get("additionalProperties", True) is not False


def _missing(fields: list[str], matched: list[ActionSpec]) -> tuple[str, str]:
    what = matched[0].type if len(matched) == 1 else f"None of the {len(matched)} actions that it names"
    lacking = [field for field in fields if not any(_takes(spec, field) for spec in matched)]
    known = sorted({field for spec in matched for field in spec.fields})
    if not lacking:
        return f"{what} has {' and '.join(fields)} at once: it never matches.", ""
    has = "has no" if len(matched) == 1 else "has a"
    problem = f"{what} {has} field {' or '.join(lacking)}: it never matches."
    return problem, suggestion(lacking[0], known) or f"There are: {', '.join(known) or 'none'}."


def _people(table: Mapping[str, Json], interfaces: Collection[str]) -> list[tuple[str, str]]:
    """Return (problem, cure) of who and where a rule is about."""
    found = []
    for key in ("who", "where"):
        for pattern in _texts(table, key):
            if pattern == f"role:{Role.BLOCKED}" and key == "who":
                found.append(("Who is blocked may do nothing, before any rule is asked: it has no effect.", ""))
            elif not (key == "who" and pattern.startswith("role:")) and not _some_interface(pattern, interfaces):
                name = pattern.partition(":")[0]
                problem = f"{key} = {pattern}: there is no interface {name}, so it never matches."
                found.append((problem, suggestion(name, interfaces)))
    return found


def _some_interface(pattern: str, interfaces: Collection[str]) -> bool:
    """Whether a glob could match something that begins with an interface's name and a colon."""
    head = _head(pattern)
    return any(f"{name}:".startswith(head) or head.startswith(f"{name}:") for name in interfaces)


def _head(pattern: str) -> str:
    """Return what stands before the first wildcard."""
    return pattern[: min((pattern.index(one) for one in _WILD if one in pattern), default=len(pattern))]


def _shadowed(
    place: str, tables: Mapping[str, Mapping[str, Json]], actions: Mapping[str, ActionSpec]
) -> list[tuple[str, str]]:
    """Return (problem, cure) of a rule in whose place another one always decides, or none."""
    table, is_behind = tables[place], False
    strictness = Verdict(table["verdict"]).strictness
    for other, theirs in tables.items():
        if other == place:
            is_behind = True
            continue
        by = Verdict(theirs["verdict"]).strictness
        says_the_same = by == strictness and not is_behind
        if (by > strictness or says_the_same) and _covers(theirs, table, actions):
            does = f"already says {theirs['verdict']} to" if says_the_same else f"says {theirs['verdict']} to"
            named = f" ({theirs['name']})" if "name" in theirs else ""
            return [(f"{other}{named} {does} all that it matches: it has no effect.", "Remove one of the two.")]
    return []


def _covers(wide: Mapping[str, Json], narrow: Mapping[str, Json], actions: Mapping[str, ActionSpec]) -> bool:
    """Whether `wide` surely matches whatever `narrow` matches; False where that cannot be said."""
    if not all(_named(type_, wide) for type_ in actions if _named(type_, narrow)):
        return False
    for key in ("who", "where"):
        if key in wide and not _globs_cover(_texts(wide, key), _texts(narrow, key)):
            return False
    if "tainted" in wide and wide["tainted"] != narrow.get("tainted"):
        return False
    theirs, ours = wide.get("arguments", {}), narrow.get("arguments", {})
    return all(field in ours and _text_covers(pattern, ours[field]) for field, pattern in theirs.items())


def _globs_cover(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    def covered(pattern: str) -> bool:
        if pattern.startswith("role:"):
            return pattern in wide or "*" in wide
        return any(_glob_covers(each, pattern) for each in wide if not each.startswith("role:"))

    return all(map(covered, narrow))


def _text_covers(wide: str, narrow: str) -> bool:
    if wide == narrow or wide == "*":
        return True
    return not wide.startswith("re:") and not narrow.startswith("re:") and _glob_covers(wide, narrow)


def _glob_covers(wide: str, narrow: str) -> bool:
    """Whether a glob matches all that another one does, as far as can be said simply."""
    if wide == narrow or wide == "*":
        return True
    if _head(narrow) == narrow:
        return fnmatchcase(narrow, wide)
    return wide == f"{_head(wide)}*" and _head(narrow).startswith(_head(wide))
