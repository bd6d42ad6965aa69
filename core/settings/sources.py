"""All sources together: the environment over `.env` over `rekku.toml`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from core.contracts.json import Json, JsonObject
from core.settings.components import COMPONENT_KINDS, ComponentTable, read_component
from core.settings.expansion import Expansion
from core.settings.files import read_env_file, read_toml
from core.settings.problems import Problems, did_you_mean

_HOME_CURE = "Set it in the environment."


class Sources:
    """All sources together: what each key was given, by the strongest, and where.

    values and origins: by key. tables: the other tables, expanded. known: the keys that there are. not_settings:
    names of variables that begin with REKKU_ and are none of ours. set_empty: keys for which an empty text counts.
    """

    def __init__(
        self,
        home: Path,
        variables: Mapping[str, str],
        *,
        known: frozenset[str],
        not_settings: re.Pattern[str],
        set_empty: frozenset[str] = frozenset(),
    ) -> None:
        self.home = home
        self.problems = Problems()
        self.values: JsonObject = {}
        self.origins: dict[str, str] = {}
        self.tables: dict[str, JsonObject] = {}
        self.rules: Json = []
        self.components: dict[str, dict[str, ComponentTable]] = {}
        self._variables = variables
        self._set_empty = set_empty
        self._dotenv = present(read_env_file(home / ".env", self.problems), set_empty)
        self._known = known
        self._not_settings = not_settings
        self.expansion = Expansion({**self._dotenv, **variables})

    def read(self, *, tables: tuple[str, ...], numbers: Mapping[str, Callable[[str], Json]]) -> None:
        """Read everything. tables: which there are besides those of components. numbers: how to read those keys."""
        path = self.home / "rekku.toml"
        for key, value in read_toml(path, self.problems).items():
            if key in COMPONENT_KINDS:
                self._take_components(path, key, value)
            elif key in tables:
                self._take_table(path, key, value)
            elif key in self._known:
                self._take(key, value, str(path))
            else:
                self._refuse(f"{path}: {key}", key, tables)
        for origin, variables in ((self.home / ".env", self._dotenv), ("environment", self._variables)):
            for name, text in variables.items():
                if name in self._known:
                    self._take(name, _number(text, numbers.get(name)), str(origin), expand=False)
                elif name.startswith("REKKU_") and not self._not_settings.fullmatch(name):
                    self._refuse(f"{name} ({origin})", name, ())
        if "policy" in self.tables:
            self._take_rules(path, self.tables["policy"])

    def _take(self, key: str, value: Json, origin: str, *, expand: bool = True) -> None:
        if key == "REKKU_HOME" and origin != "environment":
            self.problems.add(f"{key} ({origin})", "stands in the very directory that it names.", _HOME_CURE)
            return
        try:
            value = self.expansion.value(value) if expand else value
        except ValueError as error:
            self.problems.add(f"{key} ({origin})", str(error))
            return
        if isinstance(value, str) and not value.strip():
            if key not in self._set_empty:
                return
            value = ""
        self.values[key] = value
        self.origins[key] = origin

    def _refuse(self, where: str, key: str, tables: tuple[str, ...]) -> None:
        cure = did_you_mean(key, [*self._known, *tables, *(COMPONENT_KINDS if tables else ())])
        self.problems.add(where, "there is no such setting.", cure or "Remove it.")

    def _take_table(self, path: Path, key: str, value: Json) -> None:
        if not isinstance(value, dict):
            self.problems.add(f"{path}: {key}", f"must be a table: [{key}].")
            return
        self._refuse_misplaced(f"{path}: [{key}]", value)
        try:
            self.tables[key] = {
                name: item for name, item in self.expansion.value(value).items() if name not in self._known
            }
        except ValueError as error:
            self.problems.add(f"{path}: [{key}]", str(error))
            return
        self.origins.update({f"{key}.{name}": str(path) for name in value})

    def _take_rules(self, path: Path, table: JsonObject) -> None:
        for name in table.keys() - {"rules"}:
            self.problems.add(
                f"{path}: policy.{name}", "there is no such key.", "Rules are written as [[policy.rules]]."
            )
        rules = table.get("rules", [])
        if isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules):
            self.rules = rules
        else:
            self.problems.add(f"{path}: policy.rules", "must be a list of tables: [[policy.rules]].")

    def _take_components(self, path: Path, kind: str, tables: Json) -> None:
        if not isinstance(tables, dict):
            self.problems.add(f"{path}: {kind}", f"must be tables: [{kind}.NAME].")
            return
        self._refuse_misplaced(f"{path}: [{kind}]", tables)
        for name, table in tables.items():
            if name in self._known:
                continue
            if isinstance(table, dict):
                self._refuse_misplaced(f"{path}: [{kind}.{name}]", table)
                self.components.setdefault(kind, {})[name] = read_component(f"{kind}.{name}", table, self.expansion)
            else:
                self.problems.add(f"{path}: {kind}.{name}", f"must be a table: [{kind}.{name}].")

    def _refuse_misplaced(self, where: str, table: JsonObject) -> None:
        """A key that follows a table's header belongs to that table, which is easily overlooked."""
        for name in table.keys() & self._known:
            self.problems.add(where, f"{name} stands below this header.", "Move it above the first [table].")


def _number(text: str, read: Callable[[str], Json] | None) -> Json:
    """Return the number that a variable's text says, or the text, which its field then refuses."""
    try:
        return text if read is None else read(text)
    except ValueError:
        return text


def present(variables: Mapping[str, str], set_empty: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return the variables that are set, without blanks around; an empty one counts for the keys of `set_empty`."""
    stripped = {name: value.strip() for name, value in variables.items()}
    return {name: value for name, value in stripped.items() if value or name in set_empty}
