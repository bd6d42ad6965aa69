"""`${VAR}` in the texts of a configuration file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from core.contracts.json import Json
from core.settings.secrets import looks_secret

_VARIABLE = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Expansion:
    """`${VAR}` and `${VAR:-default}` in the texts of a file; `$$` is a dollar. What it puts in is not read again.

    secrets: the values that it put in for variables whose names say that they are secret.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.secrets: dict[str, str] = {}

    def value(self, value: Json) -> Json:
        """Return a value with all texts in it expanded; raises ValueError that says which variable is missing."""
        if isinstance(value, str):
            return _VARIABLE.sub(self._replacement, value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value

    def variables_in(self, value: Json) -> list[str]:
        """Return the variables that are named in a value and are set."""
        if isinstance(value, dict):
            return list(dict.fromkeys(name for item in value.values() for name in self.variables_in(item)))
        if isinstance(value, list):
            return list(dict.fromkeys(name for item in value for name in self.variables_in(item)))
        if not isinstance(value, str):
            return []
        names = (match[1].partition(":-")[0] for match in _VARIABLE.finditer(value) if match[0] != "$$")
        return list(dict.fromkeys(name for name in names if self._variables.get(name)))

    def _replacement(self, match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name, has_default, default = match[1].partition(":-")
        if not match[2] or not _NAME.fullmatch(name):
            raise ValueError("a ${VAR} in it is malformed. Write ${VAR} or ${VAR:-default}, and $$ for a dollar.")
        found = self._variables.get(name, "")
        if not found and not has_default:
            raise ValueError(
                f"the variable {name} is not set. Set it in the environment or in .env, or write ${{{name}:-…}}."
            )
        if found and looks_secret(name):
            self.secrets[name] = found
        return found or default
