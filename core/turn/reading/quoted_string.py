"""One quoted string, read byte for byte: only escapes that mean the same everywhere are undone."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_DOUBLE_QUOTED = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SINGLE_QUOTED = re.compile(r"'(?:[^'\\]++|\\.)*+'", re.DOTALL)
_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"{_PAIR}|\\u[0-9a-fA-F]{{4}}|\\x[0-9a-fA-F]{{2}}|\\.", re.DOTALL)
_SIMPLE_ESCAPES = {"'": "'", '"': '"', "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadString:
    """Why a string cannot be read: it never ends (`at` is None), or the escape at `at` has no one meaning."""

    at: int | None


def read_string(text: str, at: int) -> tuple[str, int] | BadString:
    """Return the string whose quote, double or single, stands at the offset, and the offset behind it.

    Raw control characters are part of it. In double quotes the escapes are those of RFC 8259; in single quotes
    those on which JSON, Python and JavaScript agree.
    """
    if text[at] == '"':
        try:
            value, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            return BadString(at=error.pos if _DOUBLE_QUOTED.match(text, at) else None)
        return str(value), end
    match = _SINGLE_QUOTED.match(text, at)
    if match is None:
        return BadString(at=None)
    body = match[0][1:-1]
    if "\\" not in body:
        return body, match.end()
    for escape in _ESCAPE.finditer(body):
        if len(escape[0]) == 2 and escape[0][1] not in _SIMPLE_ESCAPES:
            return BadString(at=at + 1 + escape.start())
    return _ESCAPE.sub(_meaning, body), match.end()


def _meaning(escape: re.Match[str]) -> str:
    written = escape[0]
    if len(written) == 12:
        return str(json.loads(f'"{written}"'))
    return chr(int(written[2:], 16)) if len(written) > 2 else _SIMPLE_ESCAPES[written[1]]
