"""One incarnation of a partition: from a takeover to the first doubt.

A step, in this order:

1. Feed the records to the core, in memory only.
2. One transaction: alerts and derived detections, changed state, the position behind the records. It is written when
   there is something to write; else the position follows every :data:`LAZILY_S`. That is safe because a partition is
   a pure function of its log: records fed again after a crash change nothing and tell nothing.
3. Only now may be told how far the partition is: its firings stand in the log before the word that they do.

After any exception the object is dead, with everything in it. There is no way back into a step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from streamer.errors import LedgerLost, RecordError, StateError
from streamer.kafka.records import Fetched
from streamer.ports import Ledger, Message
from streamer.service.roles import attempts
from streamer.service.roles.attempts import Attempt, Suspects
from streamer.service.roles.composing import NOT_WRITABLE, POISON, UNREADABLE, Composer, Refused
from streamer.service.roles.numbers import CorrelateNumbers, Settled, add_counters
from streamer.sigma.rules import RuleSet
from streamer.stages.outcome import CoreOutput
from streamer.stages.partition import PartitionCore
from streamer.stages.wire import RankTold

_log = structlog.get_logger("streamer.correlate")
STEP_RECORDS: Final = 500
STEP_S: Final = 0.2
"""Least time between the beginnings of two transactions of one partition: a flood goes in few large ones."""
LAZILY_S: Final = 5.0
"""How long the position may stay uncommitted when nothing else has to be written."""
_BREATH: Final = 32
"""Records fed at a stretch before other tasks get a turn."""


@dataclass(slots=True)
class Memory:
    """What a partition remembers beyond its incarnations, in this process only.

    Attributes:
        refused: messages the server will not take.
        suspects: records on which the core raised.
    """

    refused: Refused
    suspects: Suspects[int]


@dataclass(frozen=True, slots=True)
class Making:
    """What an incarnation is made of.

    Attributes:
        core: makes an empty core of a partition for some rules.
        composer: makes its messages.
        memory: of the partition.
        numbers: of the process.
        process: a name of this process that no other has.
        careful: held while a record is tried singly, whose trial may kill the process.
        progress: told how far a takeover is (read, end).
    """

    core: Callable[[RuleSet], PartitionCore]
    composer: Composer
    memory: Memory
    numbers: CorrelateNumbers
    process: str
    careful: asyncio.Lock
    progress: Callable[[int, int], None]


class Incarnation:
    """A partition that has been taken over.

    Attributes:
        core: its state.
        position: the next offset to feed; 0 stands for the beginning of what is kept.
        rules: the rules it runs.
        committed: the position that the ledger holds; ``None``: none yet.
    """

    def __init__(self, ledger: Ledger, making: Making, rules: RuleSet) -> None:
        self.rules = rules
        self.position = 0
        self.committed: int | None = None
        self.core = making.core(rules)
        self._ledger = ledger
        self._making = making
        self._settled = Settled()
        self._attempt: Attempt | None = None
        self._is_noted = False
        self._has_note = False
        self._uncommitted = False
        self._begun_s = 0.0
        self._committed_s = time.monotonic()
        making.composer.rules = rules

    async def take_over(self) -> None:
        """Shut out the predecessor and restore; raises ``ServerError`` and ``StateError``."""
        begun_s = time.monotonic()
        restored = await self._ledger.take_over(self._making.progress)
        entries = dict(restored.entries)
        stored = entries.pop(attempts.KEY, None)
        report = await asyncio.to_thread(self.core.restore, entries)
        self.position, self.committed = restored.position or 0, restored.position
        self._attempt = attempts.begin(attempts.decode(stored), self.position, self._making.process)
        self._has_note = stored is not None
        numbers, took_s = self._making.numbers, time.monotonic() - begun_s
        numbers.takeovers += 1
        numbers.restore_s += took_s
        numbers.restored += len(entries)
        _log.info(
            "partition taken over",
            partition=self.core.partition,
            position=self.position,
            entries=len(entries),
            rules_kept=len(report.kept),
            rules_dropped=len(report.dropped),
            took_s=round(took_s, 2),
        )

    @property
    def most(self) -> int:
        """Records the next step may have."""
        return 1 if self._attempt is not None and self._attempt.left else STEP_RECORDS

    @property
    def waits_s(self) -> float:
        """Seconds until the next step should begin."""
        return max(0.0, self._begun_s + STEP_S - time.monotonic()) if self.most > 1 else 0.0

    def ranks_told(self) -> RankTold:
        """What may be told to all partitions; true after a step has been settled."""
        return self.core.ranks_told()

    async def step(self, records: Sequence[Fetched]) -> None:
        """Feed and settle. Raises ``LedgerLost``, ``StateError``, and whatever the core raises."""
        if self._attempt is not None and not self._is_noted:
            await self._note()
        if self._attempt is None or not self._attempt.left:
            await self._step(records)
            return
        async with self._making.careful:
            if not self._attempt.is_culprit:
                self._attempt = self._attempt.trying()
                await self._write(self.position, {attempts.KEY: self._attempt.encode()}, ())
            await self._step(records)

    async def _step(self, records: Sequence[Fetched]) -> None:
        messages: list[Message] = []
        for number, record in enumerate(records, 1):
            messages += self._feed(record)
            if number % _BREATH == 0:
                await asyncio.sleep(0)
        position = records[-1].offset + 1
        self.position = position
        self._settled.records += len(records)
        if messages or self.core.has_changes() or self._attempt is not None:
            await self._commit(position, messages)
        else:
            self._uncommitted = True
            self._settled.move_to(self._making.numbers)
            await self.rest()
        self._making.memory.suspects.forget(lambda offset: offset < position)

    async def rest(self) -> None:
        """Let the committed position follow, now and then."""
        if time.monotonic() - self._committed_s >= LAZILY_S:
            await self.finish()

    async def finish(self) -> None:
        """Commit the position behind everything that was fed, so that nothing of it is fed again."""
        if self._uncommitted:
            await self._commit(self.position, ())

    async def reload(self, rules: RuleSet) -> None:
        """Go on with other rules; what they mean alike keeps its state."""
        if self._uncommitted or self.core.has_changes():
            await self._commit(self.position, ())
        self.retire()
        core = self._making.core(rules)
        report = await asyncio.to_thread(lambda: core.restore(self.core.snapshot()))
        self.core, self.rules, self._making.composer.rules = core, rules, rules
        await self._commit(self.position, ())
        _log.info(
            "rules changed",
            partition=core.partition,
            kept=len(report.kept),
            dropped=len(report.dropped),
            new=len(report.new),
        )

    def retire(self) -> None:
        """Keep what the core counted; it is not used any more."""
        add_counters(self._making.numbers.past, self.core.counters)

    def _feed(self, record: Fetched) -> list[Message]:
        memory, composer = self._making.memory, self._making.composer
        if memory.suspects.is_culprit(record.offset):
            return [self._set_aside(POISON, memory.suspects.reasons[record.offset], record)]
        if self._attempt is not None and self._attempt.is_culprit:
            return [self._set_aside(POISON, "the process died each time it was fed", record)]
        try:
            output = self.core.feed(record.offset, record.value)
            messages = composer.messages(output)
        except StateError:
            raise
        except RecordError as error:
            return [self._set_aside(UNREADABLE, error.message, record)]
        except Exception as error:
            memory.suspects.add(record.offset, error)
            raise
        self._count(output)
        return [self._writable(message, record.offset) for message in messages]

    def _writable(self, message: Message, offset: int) -> Message:
        """The message, or what stands for it when the server is known to refuse it."""
        reason = self._making.memory.refused.reason(message)
        if reason is None:
            return message
        self._settled.set_aside[NOT_WRITABLE] += 1
        return self._making.composer.not_writable(message, reason, offset)

    def _set_aside(self, reason: str, detail: str, record: Fetched) -> Message:
        _log.error(
            "a record is set aside", partition=self.core.partition, offset=record.offset, reason=reason, detail=detail
        )
        self._settled.set_aside[reason] += 1
        return self._making.composer.set_aside(reason, detail, record.offset, record.value)

    def _count(self, output: CoreOutput) -> None:
        for firing in output.firings:
            self._settled.firings[firing.rule] += 1
        for alert in output.alerts:
            self._settled.alerts[alert.firing.rule] += 1
        for notice in output.notices:
            self._settled.notices[notice.kind] += 1

    async def _commit(self, position: int, messages: Sequence[Message]) -> None:
        self._begun_s = time.monotonic()
        changes = dict(self.core.changes())
        self._attempt = self._attempt.passed(position) if self._attempt is not None else None
        if self._attempt is not None:
            changes[attempts.KEY] = self._attempt.encode()
        elif self._has_note:
            changes[attempts.KEY] = None
        await self._write(position, changes, messages)
        self.committed = position
        self._has_note = self._attempt is not None
        self._uncommitted = False
        self._committed_s = time.monotonic()
        self._settled.move_to(self._making.numbers)

    async def _write(self, position: int, changes: Mapping[bytes, bytes | None], messages: Sequence[Message]) -> None:
        try:
            await self._ledger.commit(position, changes, messages)
        except LedgerLost as error:
            if isinstance(error.culprit, Message):
                self._making.memory.refused.add(error.culprit, error.message)
            raise
        self._making.numbers.transactions += 1

    async def _note(self) -> None:
        """Note, before the first record is fed, that this process goes on from here; the first commit takes it back."""
        assert self._attempt is not None
        if self._attempt.left:
            _log.warning(
                "a process died here several times: records go one at a time",
                partition=self.core.partition,
                position=self.position,
                attempt=self._attempt.count,
            )
        await self._write(self.position, {attempts.KEY: self._attempt.encode()}, ())
        self._is_noted = self._has_note = True
