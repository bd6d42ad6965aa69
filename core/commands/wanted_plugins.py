"""Which plugins a command has to load at all, by what stands in their files: to import them takes seconds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from core.registry.component_files import files_of
from core.registry.discovery import Found, discover
from core.registry.out_of_use import source_texts
from core.settings import Settings


def plugins_that_say(settings: Settings, word: str, some: Iterable[str] = ()) -> set[str]:
    """Return the sources of the plugins in whose files `word` stands, and one of `some`; where it cannot be read too.

    What a file shares with others (`_shared.py` beside it) is read with it.
    """
    path = os.pathsep.join(map(str, settings.plugin_path))
    wanted, several = word.encode(), [one.encode() for one in some]
    found = discover("plugin", home=settings.home, plugin_path=path)
    return {one.source for one in found if _says(_text(one), wanted, several)}


def _says(text: bytes, wanted: bytes, several: list[bytes]) -> bool:
    return not text or (wanted in text and (not several or any(one in text for one in several)))


def _text(found: Found) -> bytes:
    if found.folder is None:
        return b"\n".join(source_texts(found))
    texts = []
    for file in files_of(found):
        with contextlib.suppress(OSError):
            texts.append(file.read_bytes())
    return b"\n".join(texts)
