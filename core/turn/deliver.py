"""Outbox to interface: in order per address, tried again with a back-off, dead letters for what can never arrive.

Each address with something to send has one task. Only the head of an address is tried again; the other addresses
go on meanwhile.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from core.contracts.deliveries import Part, Receipt
from core.contracts.errors import CannotDeliver, RetryLater, StorageError
from core.contracts.json import JsonObject
from core.contracts.services import Clock, Database
from core.interface_base import InterfaceBase
from core.services import outbox
from core.services.foreign import ForeignCalls, Raised
from core.services.mask import Masker
from core.services.outbox import PendingPart

log = structlog.get_logger("rekku.outbox")

SEND_DEADLINE_S = 60.0
FIRST_BACK_OFF_S = 1.0
LONGEST_BACK_OFF_S = 300.0
RETRY_AFTER_S = 2.0
LONGEST_WAIT_S = 5.0
LONGEST_SETTLING_S = 60.0
IN_FLIGHT_S = 2.0
CLOCK_STEP_S = 2.0
"""By how much the wall clock has to be off what was expected to count as set."""


class Deliverer:
    """Sends what stands in the outbox through the interfaces that run."""

    def __init__(
        self,
        *,
        owner: str,
        database: Database,
        clock: Clock,
        foreign: ForeignCalls,
        masker: Masker,
        interfaces: Callable[[], Mapping[str, InterfaceBase]],
        reached: Callable[[str], None],
        instead: Callable[[PendingPart, str], Awaitable[list[tuple[Part, float]]]],
        scan_every_s: float,
        tell: Callable[[str, PendingPart, JsonObject], None],
    ) -> None:
        """`instead(part, reason)`: what is to be sent in place of a part that becomes a dead letter.

        tell(name, part, more): tells of what became of a part, as an event.

        scan_every_s: how soon what another process puts into the outbox is noticed.
        """
        self._scan_every_s = scan_every_s
        self._owner = owner
        self._database = database
        self._clock = clock
        self._foreign = foreign
        self._masker = masker
        self._interfaces = interfaces
        self._reached = reached
        self._instead = instead
        self._tell = tell
        self._addresses: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._unsettled: dict[int, tuple[str, asyncio.Future[None]]] = {}
        self._waits: set[str] = set()
        self._interface_until: dict[str, float] = {}
        self._retry_at: dict[str, float] = {}
        self._rescan: asyncio.Task[None] | None = None
        self._in_flight: set[asyncio.Future[None]] = set()
        self._open = False

    async def start(self) -> None:
        """Begin with what an earlier run left."""
        self._open = True
        await self._scan()
        self._rescan = asyncio.create_task(self._keep_scanning(), name="scan of the outbox")

    async def stop(self, drain_s: float) -> None:
        """Let what can be sent now go out for `drain_s` seconds; the rest waits for the next start."""
        if self._rescan is not None:
            self._rescan.cancel()
        waiting = [future for _, future in self._unsettled.values() if not future.done()]
        if waiting and drain_s > 0:
            await asyncio.wait(waiting, timeout=drain_s)
        self._open = False
        if self._in_flight:
            # To cancel a send is not to know whether the platform took it, and to send it again after the start.
            await asyncio.wait(self._in_flight, timeout=IN_FLIGHT_S)
        tasks = [*self._addresses.values(), *([self._rescan] if self._rescan else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self, rows: list[tuple[int, str]]) -> None:
        """New rows (id, address) stand in the outbox."""
        if not self._open:
            return
        for row_id, address in rows:
            if address not in self._waits:
                self._unsettled.setdefault(row_id, (address, asyncio.get_running_loop().create_future()))
            self._wake_address(address)

    @property
    def busy(self) -> int:
        """How many addresses are being delivered to now; those that have to wait for a time are left out."""
        return len(self._addresses.keys() - self._waits)

    async def settled(self, rows: list[tuple[int, str]]) -> None:
        """Wait until each of these rows was sent, buried or has failed once, or has to wait for one that did.

        A minute at most.
        """
        futures = [self._unsettled[row_id][1] for row_id, _ in rows if row_id in self._unsettled]
        if futures:
            await asyncio.wait(futures, timeout=LONGEST_SETTLING_S)

    def _wake_address(self, address: str) -> None:
        if address.partition(":")[0] not in self._interfaces():
            return
        if address in self._addresses:
            self._news[address].set()
            return
        self._news[address] = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._run_address(address), name=f"deliveries to {address}")
        self._addresses[address] = task

    async def _run_address(self, address: str) -> None:
        news = self._news[address]
        try:
            while self._open and address.partition(":")[0] in self._interfaces():
                news.clear()
                try:
                    pending = await self._next(address)
                    went_on = await self._send_in_order(pending, news)
                except StorageError as error:
                    log.warning("the outbox waits for the database", address=address, error=str(error))
                    await self._clock.sleep(RETRY_AFTER_S)
                    continue
                # What is committed later wakes this address, so that a last look into the table would be in vain.
                if went_on and len(pending) < outbox.BATCH and not news.is_set():
                    return
        finally:
            self._addresses.pop(address, None)
            self._news.pop(address, None)

    async def _next(self, address: str) -> list[PendingPart]:
        """Return what is to be sent to an address, its head claimed in the same transaction if it can go now."""
        retry_at = self._retry_at.get(address, 0.0)
        if self._interface_wait_s(address.partition(":")[0]) > 0 or retry_at > self._clock.monotonic():
            return await self._database.read(lambda conn: outbox.pending(conn, address))
        now_ms = self._clock.now_ms()
        # The claim need not survive a power cut: the part has not been sent then.
        return await self._database.transact(
            lambda conn: outbox.claim_head(conn, address, self._owner, now_ms), durable=False
        )

    async def _send_in_order(self, pending: list[PendingPart], news: asyncio.Event) -> bool:
        """Send parts until one has to wait; waits that time itself. False when the rest was not looked at."""
        for part in pending:
            if not self._open:
                return False
            now_ms = self._clock.now_ms()
            if part.leased_until_ms > now_ms and part.owner != self._owner:
                await self._wait(part, (part.leased_until_ms - now_ms) / 1000)
                return False
            if part.expires_at_ms <= now_ms:
                await self._bury(part, "It could not be delivered within its time to live.")
                continue
            wait_s = max(await self._head_wait_s(part, now_ms), self._interface_wait_s(part.part.address.interface))
            if wait_s > 0:
                await self._wait(part, wait_s)
                return False
            if not await self._send(part):
                return False
        return True

    async def _wait(self, head: PendingPart, wait_s: float) -> None:
        """Let an address wait; nobody has to wait for what stands there, or for what comes behind it meanwhile."""
        address = str(head.part.address)
        for row_id in [row_id for row_id, (to, _) in self._unsettled.items() if to == address]:
            self._settle(row_id)
        self._waits.add(address)
        try:
            await self._clock.sleep(min(wait_s, LONGEST_WAIT_S))
        finally:
            self._waits.discard(address)

    async def _send(self, pending: PendingPart) -> bool:
        """Send one part; False when it has to be tried again."""
        interface = self._interfaces().get(pending.part.address.interface)
        if interface is None:
            self._settle(pending.row_id)
            return False
        claimed = pending if pending.claimed else await self._take(pending)
        if claimed is None:
            return False
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._in_flight.add(over)
        try:
            return await self._send_claimed(claimed, interface)
        finally:
            self._in_flight.discard(over)
            over.set_result(None)

    async def _send_claimed(self, claimed: PendingPart, interface: InterfaceBase) -> bool:
        self._retry_at.pop(str(claimed.part.address), None)
        self._reached("part claimed")
        called = await self._foreign.call(
            f"send of {claimed.part.address.interface}", lambda: interface.send(claimed.part), SEND_DEADLINE_S
        )
        self._reached("part sent")
        if isinstance(called, Raised):
            return await self._not_sent(claimed, called)
        message_id = str(called.value.message_id) if isinstance(called.value, Receipt) else ""
        at_ms = self._clock.now_ms()
        await self._write(lambda conn: outbox.sent(conn, claimed.row_id, claimed.epoch, message_id, at_ms))
        self._reached("part committed")
        self._tell("delivery.sent", claimed, {"message_id": message_id})
        self._settle(claimed.row_id)
        return True

    async def _take(self, pending: PendingPart) -> PendingPart | None:
        now_ms = self._clock.now_ms()
        return await self._database.transact(
            lambda conn: outbox.take(conn, pending, self._owner, now_ms), durable=False
        )

    async def _not_sent(self, pending: PendingPart, called: Raised) -> bool:
        reason = self._masker.text(called.sentence)
        if isinstance(called.error, CannotDeliver):
            await self._bury(pending, reason)
            return True
        if isinstance(called.error, RetryLater):
            asked_s = called.error.after_s
            wait_s = max(asked_s, 0.0) if math.isfinite(asked_s) else LONGEST_BACK_OFF_S
            if called.error.scope == "interface":
                self._interface_until[pending.part.address.interface] = self._clock.monotonic() + wait_s
        else:
            wait_s = min(FIRST_BACK_OFF_S * 2 ** min(pending.attempts, 10), LONGEST_BACK_OFF_S)
        log.warning(
            "not sent yet", address=str(pending.part.address), row=pending.row_id, error=reason, wait_s=wait_s
        )
        until_ms = self._clock.now_ms() + int(wait_s * 1000)
        self._retry_at[str(pending.part.address)] = self._clock.monotonic() + wait_s
        await self._write(lambda conn: outbox.postpone(conn, pending.row_id, pending.epoch, reason, until_ms))
        self._tell("delivery.failed", pending, {"reason": reason, "final": False})
        self._settle(pending.row_id)
        return False

    async def _bury(self, pending: PendingPart, reason: str) -> None:
        log.error("cannot be delivered", address=str(pending.part.address), row=pending.row_id, error=reason)
        at_ms = self._clock.now_ms()
        instead = await self._instead(pending, reason)
        rows: list[int] = []

        def write(conn: Any) -> None:
            outbox.bury(conn, pending.row_id, pending.epoch, reason, at_ms)
            rows[:] = outbox.put(conn, instead, pending.turn_id, at_ms)

        await self._write(write)
        self._tell("delivery.failed", pending, {"reason": reason, "final": True})
        self._settle(pending.row_id)
        self.wake([(row, str(part.address)) for row, (part, _) in zip(rows, instead, strict=True)])

    async def _write(self, fn: Callable[[Any], None]) -> None:
        """Note what became of a part; the platform has it by now, so this is tried until the database is back."""
        while True:
            try:
                return await self._database.transact(fn)
            except StorageError as error:
                if not self._open:
                    raise
                log.warning("the outbox waits for the database", error=str(error))
                await self._clock.sleep(RETRY_AFTER_S)

    async def _head_wait_s(self, head: PendingPart, now_ms: int) -> float:
        """Return how long an address has to wait: by the clock that nobody sets, unless an earlier run failed there.

        Where the wall clock was set meanwhile, the time that is stored for a later run is set likewise.
        """
        stored_s = (head.not_before_ms - now_ms) / 1000
        retry_at = self._retry_at.get(str(head.part.address))
        if retry_at is None:
            return stored_s
        wait_s = retry_at - self._clock.monotonic()
        if wait_s > 0 and abs(stored_s - wait_s) > CLOCK_STEP_S:
            until_ms = now_ms + int(wait_s * 1000)
            await self._database.transact(lambda conn: outbox.keep_until(conn, head.row_id, head.epoch, until_ms))
        return wait_s

    def _interface_wait_s(self, interface: str) -> float:
        until = self._interface_until.get(interface, 0.0)
        return until - self._clock.monotonic()

    def _settle(self, row_id: int) -> None:
        _, future = self._unsettled.pop(row_id, ("", None))
        if future is not None and not future.done():
            future.set_result(None)

    async def _scan(self) -> None:
        now = self._clock.monotonic()
        self._retry_at = {to: at for to, at in self._retry_at.items() if at > now or to in self._addresses}
        for address, _ in await self._database.read(outbox.open_addresses):
            self._wake_address(address)

    async def _keep_scanning(self) -> None:
        while True:
            await asyncio.sleep(self._scan_every_s)
            try:
                await self._scan()
            except StorageError as error:
                log.warning("the outbox cannot be read", error=str(error))
