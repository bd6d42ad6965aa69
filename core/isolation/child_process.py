"""One process of a plugin while it lives: its calls, what it asks back, and the watch over it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

from structlog.typing import FilteringBoundLogger

from core.isolation.crossing_errors import PluginProcessDied
from core.isolation.limits import MIB, Limits
from core.isolation.peer import Peer, ProtocolBroken
from core.isolation.printed import Allowance, log_printed
from core.isolation.process import PluginProcess

LOOK_EVERY_S = 0.5
PING_EVERY_S = 5.0
PONG_WITHIN_S = 5.0
CPU_WINDOW_S = 60.0
PRINTED_WITHIN_S = 1.0
ENDS_WITHIN_S = 1.0
_LEVELS = frozenset(("debug", "info", "warning", "error", "critical", "exception"))


class LivingChild:
    """A process of a plugin, from its start to its end; `died` is told why it ended where nobody had ended it."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        log: FilteringBoundLogger,
        *,
        serve: Callable[[str, list[Any]], Awaitable[Any]],
        told: Callable[[str, list[Any]], None],
        died: Callable[[LivingChild, str], None],
    ) -> None:
        self._name = name
        self._limits = limits
        self._log = log
        self._told = told
        self._died = died
        self._reason = ""
        self._wanted = True
        self._lines = Allowance()
        self.process = PluginProcess(limits)
        self.peer = Peer(self.process.connection, serve=serve, told=self._heard, unanswered=self._swallowed)
        # Not in the context of whoever has it started: what it does by itself is done for nobody.
        self._life = self.peer.loop.create_task(self._live(), name=f"isolation: {name}", context=Context())
        self._life.add_done_callback(lambda _: self._surely_ended())

    @property
    def usable(self) -> bool:
        """Whether it lives, and belongs to the event loop that is running."""
        return self._wanted and not self._life.done() and self.peer.loop is asyncio.get_running_loop()

    async def call(self, name: str, *args: Any) -> Any:
        """Return what the process answers; raises PluginProcessDied when it ends meanwhile."""
        return await self.peer.call(name, *args)

    async def end(self) -> None:
        """End it, and all that it has started; nobody is told."""
        self._wanted = False
        self._life.cancel()
        await asyncio.wait({self._life})

    def kill(self, reason: str) -> None:
        """End it for a reason that is told."""
        self._reason = self._reason or reason
        self._life.cancel()

    async def _live(self) -> None:
        watch = asyncio.create_task(self._watch(), name=f"isolation: watch over {self._name}")
        printed = asyncio.create_task(self._print(), name=f"isolation: output of {self._name}")
        try:
            await self.peer.run()
            if await self._outlived():
                self._reason = self._reason or "it closed its connection to Rekku"
        except asyncio.CancelledError:
            pass  # it is to end; what is below does it
        except ProtocolBroken as error:
            self._reason = self._reason or f"it sent {error}"
        except OSError:
            pass  # its process is gone: how that ended is read below
        finally:
            watch.cancel()
            ended = await asyncio.shield(self.process.end())
            await asyncio.wait({printed}, timeout=PRINTED_WITHIN_S)
            printed.cancel()
            await asyncio.wait({watch, printed})
            self.process.close()
            reason = self._reason or f"its process ended ({ended or 'nobody saw how'})"
            self.peer.abandon(PluginProcessDied(f"{self._name}: {reason}"))
            if self._wanted:
                self._wanted = False
                self._died(self, reason)

    async def _outlived(self) -> bool:
        """Whether the process goes on without its connection; one that ends closes that a moment before."""
        until = self.peer.loop.time() + ENDS_WITHIN_S
        while self.process.lives():
            if self.peer.loop.time() > until:
                return True
            await asyncio.sleep(LOOK_EVERY_S / 50)
        return False

    def _surely_ended(self) -> None:
        """End the process also where the task was cancelled before it began, or twice."""
        self.process.end_now()
        self.process.close()

    async def _print(self) -> None:
        try:
            await log_printed(self.process.output, self._log)
        except OSError:
            return  # closed with the process

    async def _watch(self) -> None:
        """Look at what it uses, and whether it still answers."""
        loop = asyncio.get_running_loop()
        began = deque([(loop.time(), 0.0)])
        pinged_at = loop.time()
        ping: asyncio.Task[str] | None = None
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = loop.time()
            if (reason := self._over(now, began)) != "":
                self.kill(reason)
                return
            if ping is None and now - pinged_at >= PING_EVERY_S:
                ping, pinged_at = asyncio.create_task(self._ping()), now
            elif ping is not None and ping.done():
                if ping.result():
                    self.kill(ping.result())
                    return
                ping = None
            elif ping is not None and now - pinged_at > PONG_WITHIN_S:
                ping.cancel()
                self.kill(f"it did not answer for {PONG_WITHIN_S:g} s")
                return

    async def _ping(self) -> str:
        """Return why it cannot even be asked, or ""; that there was an answer is what counts, not which."""
        try:
            await self.peer.call("ping")
        except PluginProcessDied as error:
            return str(error)
        except Exception:  # noqa: BLE001 - whatever it answers with
            return ""
        return ""

    def _over(self, now: float, seen: deque[tuple[float, float]]) -> str:
        """Return which bound it has gone over, or ""."""
        usage = self.process.usage()
        if usage is None:
            return ""
        seen.append((now, usage.cpu_s))
        while len(seen) > 1 and now - seen[1][0] >= CPU_WINDOW_S:
            seen.popleft()
        used_s = usage.cpu_s - seen[0][1]
        most_bytes = self._limits.memory_mb * MIB
        if usage.memory_bytes > most_bytes and self.process.memory_bytes() > most_bytes:
            return f"it used more than {self._limits.memory_mb} MiB of memory"
        if usage.processes > self._limits.processes:
            return f"it started more than {self._limits.processes} processes"
        if used_s > self._limits.cpu_s:
            return f"it used more than {self._limits.cpu_s:g} s of processor time within a minute"
        return ""

    def _swallowed(self, name: str) -> None:
        self.kill(f"{name} did not end when it was cancelled")

    def _heard(self, name: str, args: list[Any]) -> None:
        if name != "log":
            self._told(name, args)
            return
        if not self._lines.take(self.peer.loop.time()):
            return
        if missing := self._lines.told():
            self._log.warning("a plugin logs too much", lines_left_out=missing)
        match args:
            case [str() as level, event, dict() as texts] if level in _LEVELS:
                texts = {
                    str(key)[:60]: value for key, value in texts.items() if key not in ("event", "plugin", "self")
                }
                level = "error" if level == "exception" else level
                self._log.bind(**dict(list(texts.items())[:30])).log(_NUMBERS[level], str(event))


_NUMBERS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
