"""What an isolated plugin prints: lines of the log, cut, and not more of them than anybody would read."""

from __future__ import annotations

import asyncio
import socket

from structlog.typing import FilteringBoundLogger

LONGEST_LINE = 2_000
LINES_AT_ONCE = 50
LINES_A_SECOND = 5.0
CHUNK = 64 * 1024
PAUSE_S = 0.05


class Allowance:
    """How many lines may still be logged: so many at once, then so many a second."""

    def __init__(self) -> None:
        self._left = float(LINES_AT_ONCE)
        self._at = 0.0
        self.left_out = 0

    def take(self, now_s: float) -> bool:
        """Return whether one more may be logged; one that may not is counted."""
        self._left = min(LINES_AT_ONCE, self._left + (now_s - self._at) * LINES_A_SECOND)
        self._at = now_s
        if self._left < 1:
            self.left_out += 1
            return False
        self._left -= 1
        return True

    def told(self) -> int:
        """Return how many were left out since this was last asked."""
        count, self.left_out = self.left_out, 0
        return count


async def log_printed(output: socket.socket, log: FilteringBoundLogger) -> None:
    """Log what is printed until its end; a flood is read slowly, so that it holds up whoever prints it."""
    loop = asyncio.get_running_loop()
    allowance = Allowance()
    rest = b""
    while True:
        chunk = await loop.sock_recv(output, CHUNK)
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LONGEST_LINE or not chunk:
            lines.append(rest)
            rest = b""
        for line in lines:
            if line.strip() and allowance.take(loop.time()):
                if missing := allowance.told():
                    log.warning("a plugin prints too much", lines_left_out=missing)
                log.info("printed", line=line[:LONGEST_LINE].decode("utf-8", "replace").rstrip())
        if not chunk:
            break
        await asyncio.sleep(PAUSE_S if len(chunk) == CHUNK else 0)
    if missing := allowance.told():
        log.warning("a plugin prints too much", lines_left_out=missing)
