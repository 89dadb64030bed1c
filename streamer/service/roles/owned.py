"""A partition that the group gave to this process: its inbox, its task, its incarnations.

::

    assigned ─► taken over ─► step, step, step … ─► revoked ─► kept for a while ─► forgotten
        ▲            ▲              │ any doubt                    │ assigned again
        └────────────┴──────────────┘◄─────────────────────────────┘ goes on where it was

The group only suggests owners; the ledger decides. A partition that comes back goes on with its memory: if somebody
else owned it meanwhile, the next transaction is refused, and the next incarnation reads the state anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from streamer.errors import LedgerLost, ServerError, StateError
from streamer.kafka.detections import DetectionsReader
from streamer.kafka.records import Fetched
from streamer.ports import Ledger
from streamer.service.patience import Backoff
from streamer.service.roles.attempts import Suspects
from streamer.service.roles.composing import Composer, Refused
from streamer.service.roles.inbox import Inbox
from streamer.service.roles.incarnation import Incarnation, Making, Memory
from streamer.service.roles.numbers import CorrelateNumbers
from streamer.sigma.rules import RuleSet
from streamer.stages.partition import PartitionCore
from streamer.stages.wire import RankTold

_log = structlog.get_logger("streamer.correlate")
KEPT_S: Final = 300.0
"""How long the memory of a revoked partition is kept: longer than a rolling restart leaves it elsewhere."""
_WAIT_S: Final = 0.5
_SAY_EVERY_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Shared:
    """What the partitions of one process have in common.

    Attributes:
        reader: gives their records.
        ledger: opens the database of a partition; nothing is sent yet.
        core: makes an empty core for some rules and a partition.
        composer: makes the messages of a partition.
        numbers: counts.
        process: a name of this process that no other has.
        careful: held while a record is tried singly, whose trial may kill the process.
    """

    reader: DetectionsReader
    ledger: Callable[[int], Ledger]
    core: Callable[[RuleSet, int], PartitionCore]
    composer: Callable[[RuleSet, int], Composer]
    numbers: CorrelateNumbers
    process: str
    careful: asyncio.Lock


class OwnedPartition:
    """One partition of the detections, as long as this process runs.

    Attributes:
        number: which.
        inbox: what has been read for it.
        told: how far it is, as others may be told; ``None`` while it is not running.
        newest_us: the broker's stamp on the newest record that was settled; ``None`` before the first.
        life: the incarnation, for metrics; ``None`` between two.
    """

    def __init__(self, number: int, shared: Shared, rules: RuleSet) -> None:
        self.number = number
        self.inbox = Inbox()
        self.told: RankTold | None = None
        self.newest_us: int | None = None
        self.life: Incarnation | None = None
        self._shared = shared
        self._rules = rules
        self._composer = shared.composer(rules, number)
        self._memory = Memory(Refused(), Suspects())
        self._backoff = Backoff(longest_s=5.0)
        self._assigned = False
        self._assignments = 0
        self._resumed = 0
        self._progress: tuple[int, int] | None = None
        self._said_s = 0.0
        self._failure = ""

    @property
    def is_assigned(self) -> bool:
        """Whether the group says it is ours."""
        return self._assigned

    @property
    def is_running(self) -> bool:
        """Whether it has been restored."""
        return self.told is not None

    @property
    def committed(self) -> int | None:
        """The position that the ledger holds; ``None`` while it is not known."""
        return self.life.committed if self.life is not None else None

    @property
    def status(self) -> str:
        """In words, how far it is."""
        if self.is_running:
            return "running"
        if self._progress is None:
            return "waiting to be taken over"
        read, end = self._progress
        return f"restoring, {100 * read // end if end else 100} % of the changelog read"

    def assign(self) -> None:
        """The group gives it to us. Its reading is paused until it has been taken over."""
        self._assigned = True
        self._assignments += 1
        self.inbox.clear()
        self.inbox.wake()

    def revoke(self) -> None:
        """The group takes it away: the step in flight ends, nothing further is begun."""
        self._assigned = False
        self.told = None
        self.inbox.clear()
        self.inbox.wake()

    def receive(self, records: Sequence[Fetched]) -> None:
        """Records that were read for it."""
        if records and self._assigned and self._resumed == self._assignments:
            self.inbox.put(records)

    def reload(self, rules: RuleSet) -> None:
        """Go on with other rules from the next step on."""
        self._rules = rules
        self.inbox.wake()

    async def run(self, stop: asyncio.Event) -> None:
        """Incarnation after incarnation; raises ``StateError`` only."""
        while not stop.is_set():
            if not self._assigned:
                await self.inbox.wait(_WAIT_S)
                continue
            try:
                await self._live(stop)
            except StateError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was: nothing of this incarnation may go on
                await self._pause(error, stop)

    async def _live(self, stop: asyncio.Event) -> None:
        """One incarnation."""
        ledger = self._shared.ledger(self.number)
        try:
            life = Incarnation(ledger, self._making(), self._rules)
            self._progress = (0, 0)
            await life.take_over()
            self.life = life
            self._resumed = 0
            await self._go(life, stop)
            await life.finish()
        finally:
            if self.life is not None:
                self.life.retire()
            self.life, self.told, self._progress = None, None, None
            await ledger.close()

    async def _go(self, life: Incarnation, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if not self._assigned:
                await life.finish()
                if not await self._comes_back(stop):
                    return
            if self._resumed != self._assignments:
                self._resume(life)
            if self._rules is not life.rules:
                await life.reload(self._rules)
            if life.waits_s:
                await asyncio.sleep(life.waits_s)
            records = self.inbox.take(life.most) if self._resumed == self._assignments else []
            if records:
                await life.step(records)
                self.newest_us = records[-1].append_time_us
                self._backoff.reset()
            else:
                await life.rest()
                await self.inbox.wait(_WAIT_S)
            if self._assigned:
                self.told = self._latest(life)

    def _resume(self, life: Incarnation) -> None:
        """Read from where the memory ends; what was read for an earlier assignment is read again."""
        self._resumed = self._assignments
        self.inbox.clear()
        self._shared.reader.resume(self.number, life.position or None)
        self.told = self._latest(life)

    def _latest(self, life: Incarnation) -> RankTold:
        """How far it is now; the meanings of the rules, which come now and then, stay until they have been told."""
        told = life.ranks_told()
        before = self.told.rules if self.told is not None and self.told.version == told.version else ()
        return replace(told, rules=told.rules or before)

    def rules_were_told(self) -> None:
        """The meanings of its rules have been told; they need not be told again for a while."""
        if self.told is not None:
            self.told = replace(self.told, rules=())

    async def _comes_back(self, stop: asyncio.Event) -> bool:
        """Whether the group gives the partition back before its memory is forgotten."""
        end_s = time.monotonic() + KEPT_S
        while not self._assigned and not stop.is_set():
            if time.monotonic() >= end_s:
                return False
            await self.inbox.wait(_WAIT_S)
        return self._assigned

    def _making(self) -> Making:
        return Making(
            core=lambda rules: self._shared.core(rules, self.number),
            composer=self._composer,
            memory=self._memory,
            numbers=self._shared.numbers,
            process=self._shared.process,
            careful=self._shared.careful,
            progress=self._on_progress,
        )

    def _on_progress(self, read: int, end: int) -> None:
        self._progress = (read, end)
        if time.monotonic() - self._said_s >= _SAY_EVERY_S:
            self._said_s = time.monotonic()
            _log.info("restoring", partition=self.number, read=read, end=end)

    async def _pause(self, error: Exception, stop: asyncio.Event) -> None:
        """Say what ended the incarnation, and wait a little."""
        numbers = self._shared.numbers
        if isinstance(error, LedgerLost):
            kind = "fenced" if error.fenced else "refused" if error.culprit is not None else "doubt"
            numbers.lost[kind] += 1
            _log.info("a partition begins anew", partition=self.number, reason=error.message)
        elif isinstance(error, ServerError):
            numbers.lost["doubt"] += 1
            _log.warning("a partition cannot be had; trying again", partition=self.number, error=error.message)
        else:
            numbers.lost["failed"] += 1
            said = repr(error)[:500]
            if said != self._failure:
                _log.error("a partition failed and begins anew", partition=self.number, error=said)
            self._failure = said
        server_error = error if isinstance(error, ServerError) else ServerError(str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), self._backoff.after(server_error))
