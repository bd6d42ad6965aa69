"""The mistakes in a configuration, told all at once, and never with the value of a secret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.contracts.errors import ConfigurationError
from core.settings.secrets import mask


@dataclass(slots=True)
class Problems:
    """The mistakes found so far, each a sentence that says where, what, and what to do."""

    found: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)

    def add(self, where: str, what: str, cure: str = "") -> None:
        """Note one mistake."""
        end = "" if what.endswith((".", "?")) else "."
        self.found.append(f"{where}: {what}{end} {cure}".strip())

    def __bool__(self) -> bool:
        return bool(self.found)

    def error(self) -> ConfigurationError:
        """Return one error that names all of them, with every secret that is known masked."""
        texts = [mask(text, self.secrets) for text in self.found]
        cure = "docs/configuration.md lists every setting."
        if len(texts) == 1:
            return ConfigurationError(texts[0], cure=cure)
        lines = "".join(f"\n- {text}" for text in texts)
        return ConfigurationError(f"{len(texts)} mistakes in the configuration:{lines}\n", cure=cure)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean …?" for the nearest known name, also without `REKKU_` and in any case, or ""."""
    import difflib

    by_spelling = {
        spelling: each for each in known for spelling in (each.upper(), each.upper().removeprefix("REKKU_"))
    }
    nearest = difflib.get_close_matches(name.upper(), by_spelling, n=1, cutoff=0.6)
    return f"Did you mean {by_spelling[nearest[0]]}?" if nearest else ""
