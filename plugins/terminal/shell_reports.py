"""How bash says where it is: reports in its terminal, told from all else by a secret of the session.

A report is an operating system command, `ESC ] 7717 ; SECRET ; KIND ; NUMBER ; STATUS BEL`, written to /dev/tty, so
in order with the output, whatever the shell's own output is redirected to. Three kinds: `S` a command starts, `D`
it is done, `P` the shell asks for input, which also comes where an interrupt has cut off the way to `D`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_REPORT = 128

_RC = r"""
HISTFILE= ; builtin set +o history ; builtin unset MAILCHECK
builtin bind 'set enable-bracketed-paste off' 2>/dev/null
builtin bind 'set bell-style none' 2>/dev/null
builtin shopt -s execfail
PS1='$ ' ; PS2='> '
__rekku_report() { builtin printf '\e]7717;@SECRET@;%s;%s;%s\a' "$1" "$2" "$3" >/dev/tty; }
__rekku_start() { builtin local was=$?; __rekku_report S "$1" 0; builtin return "$was"; }
__rekku_prompt() { builtin local was=$?; __rekku_report P 0 "$was" 2>/dev/null; builtin return "$was"; }
__rekku_done() {
    __rekku_report D "$1" "$2"
    case "${PROMPT_COMMAND[*]-}" in
        *__rekku_prompt*) ;;
        *) PROMPT_COMMAND="__rekku_prompt${PROMPT_COMMAND:+; $PROMPT_COMMAND}" ;;
    esac
    builtin return "$2"
}
PROMPT_COMMAND=__rekku_prompt
builtin readonly -f __rekku_report __rekku_start __rekku_prompt __rekku_done
"""


@dataclass(frozen=True, slots=True)
class Report:
    """One report of the shell; `number` is the command's, `status` its exit status so far."""

    kind: str
    number: int
    status: int


def rc_file(secret: str) -> str:
    """Return the start-up file of the shell."""
    return _RC.replace("@SECRET@", secret)


def trigger(control: str, number: int) -> bytes:
    """Return what is typed to have the shell run the command in the file `NUMBER` of its control directory.

    The command itself is read from a file, so an open quote or a here-document ends where the file does, and nothing
    of it is echoed, completed or expanded on the way in. Sourced at the top level, it may do what a typed one may.
    """
    # With backslashes no alias is looked for.
    line = rf" {{ \__rekku_start {number}; }} 2>/dev/null; \. '{control}/{number}'"
    return (line + rf"; {{ \__rekku_done {number} $?; }} 2>/dev/null" + "\n").encode()


class ReportReader:
    """Splits what comes out of the terminal into output and reports."""

    def __init__(self, secret: str) -> None:
        self._begin = f"\x1b]7717;{secret};".encode()
        self._report = re.compile(re.escape(self._begin) + rb"([SDP]);(\d+);(\d+)\x07")
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes | Report]:
        """Yield output and reports in their order; what may be the beginning of a report waits for its end."""
        data = self._rest + data
        position = 0
        for found in self._report.finditer(data):
            if found.start() > position:
                yield data[position : found.start()]
            yield Report(found[1].decode(), int(found[2]), int(found[3]))
            position = found.end()
        rest = data[position:]
        held = self._held(rest)
        self._rest = rest[len(rest) - held :]
        if len(rest) > held:
            yield rest[: len(rest) - held]

    def flush(self) -> bytes:
        """Return what still waits."""
        rest, self._rest = self._rest, b""
        return rest

    def _held(self, rest: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a report."""
        start = rest.rfind(b"\x1b", max(len(rest) - LONGEST_REPORT, 0))
        if start < 0:
            return 0
        tail = rest[start:]
        if tail.startswith(self._begin):
            return len(tail)
        return len(tail) if self._begin.startswith(tail) else 0
