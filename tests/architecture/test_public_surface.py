"""What plugin authors build on changes only on purpose."""

from __future__ import annotations

import difflib

from tests.architecture.public_surface import SNAPSHOT, describe_module, public_surface

_CURE = """
The public surface has changed. When that is meant: python -m tests.architecture.public_surface --write,
commit the difference, and tell plugin authors in CHANGELOG.md.
"""


def test_the_public_surface_is_the_recorded_one() -> None:
    recorded, current = SNAPSHOT.read_text(encoding="utf-8"), public_surface()
    difference = difflib.unified_diff(recorded.splitlines(), current.splitlines(), "recorded", "current", lineterm="")
    assert recorded == current, "\n".join(difference) + _CURE


def test_what_the_surface_tells() -> None:
    source = '''
from json import loads

__all__ = ["Dose", "LIMIT", "give", "loads"]

LIMIT: int = 3
hidden = 1

@dataclass(frozen=True)
class Dose(Base):
    """Doc."""

    amount_mg: float = 0.5
    _cache: dict

    def __init__(self, amount_mg: float) -> None: ...
    @property
    def large(self) -> bool:
        return True
    def _private(self): ...

async def give(dose: Dose, *, slowly: bool = False) -> None: ...
def unlisted(): ...
'''
    assert describe_module(source) == [
        "    LIMIT: int = 3",
        "    @dataclass(frozen=True)",
        "    class Dose(Base)",
        "        amount_mg: float = 0.5",
        "        def __init__(self, amount_mg: float) -> None",
        "        @property",
        "        def large(self) -> bool",
        "    async def give(dose: Dose, *, slowly: bool=False) -> None",
        "    loads (from elsewhere)",
    ]
