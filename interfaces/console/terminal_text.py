"""Text made harmless for a terminal: what controls it becomes visible, so that no message can rewrite the screen."""

from __future__ import annotations

import re

_LINE_FEED, _TAB, _DELETE = 0x0A, 0x09, 0x7F
_PICTURES = 0x2400
_REPLACEMENT = "\ufffd"
_BIDI_OVERRIDES = (0x202D, 0x202E)

_VISIBLE: dict[int, str] = {
    **{code: chr(_PICTURES + code) for code in range(0x20) if code not in (_LINE_FEED, _TAB)},
    _DELETE: chr(_PICTURES + 0x21),
    **dict.fromkeys(range(0x80, 0xA0), _REPLACEMENT),
    **dict.fromkeys(_BIDI_OVERRIDES, _REPLACEMENT),
}
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


def visible_controls(text: str) -> str:
    """Return `text` with every C0 and C1 control but line feed and tab replaced by one visible character.

    CR LF counts as a line feed. The two overrides of the writing direction are replaced too: they let a text be
    read as another one.
    """
    return text.replace("\r\n", "\n").translate(_VISIBLE)


def visible_controls_but_colours(text: str) -> str:
    """Return `text` as `visible_controls` does, but keep its colour sequences: for log lines."""
    pieces = _COLOUR.split(text)
    return "".join(piece if index % 2 else visible_controls(piece) for index, piece in enumerate(pieces))
