"""Names of keys to the bytes that a terminal sends for them."""

from __future__ import annotations

import re

KEYS: dict[str, bytes] = {
    "enter": b"\r",
    "tab": b"\t",
    "escape": b"\x1b",
    "space": b" ",
    "backspace": b"\x7f",
    "delete": b"\x1b[3~",
    "up": b"\x1b[A",
    "down": b"\x1b[B",
    "right": b"\x1b[C",
    "left": b"\x1b[D",
    "home": b"\x1b[H",
    "end": b"\x1b[F",
    "page_up": b"\x1b[5~",
    "page_down": b"\x1b[6~",
}

_CURSOR_KEYS = re.compile(rb"\x1b\[([ABCDHF])")

_CONTROL = re.compile(r"ctrl-([a-z\[\]\\])")


def key_bytes(name: str, *, application: bool = False) -> bytes | None:
    """Return what a key sends, or None for one that is not known. "ctrl-c" and the like are keys too.

    application: whether the program has switched the cursor keys to application mode (DECCKM), as curses does.
    """
    data = _normal_bytes(name)
    return _CURSOR_KEYS.sub(b"\x1bO\\1", data) if application and data is not None else data


def _normal_bytes(name: str) -> bytes | None:
    plain = name.strip().lower()
    control = _CONTROL.fullmatch(plain)
    if control:
        return bytes([ord(control[1].upper()) & 0x1F])
    return KEYS.get(plain.replace(" ", "_").replace("pageup", "page_up").replace("pagedown", "page_down"))
