"""Reading a partition of the changelog back, up to the reader's own barrier.

The barrier was committed after the predecessor had been shut out, so everything that any predecessor committed stands
before it, and nothing that counts can come between. Reading goes on by offset, not by an end that the broker tells: the
markers of the barrier's own transaction may still be on their way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import TopicPartition, errors

from streamer.errors import LedgerLost, ServerError, StateError
from streamer.kafka.complaints import as_server_error, attempt, let_go
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.ledger import entries
from streamer.kafka.topics import CHANGELOG
from streamer.kafka.transactions import Points, nowhere

_POLL_MS: Final = 500
_RECORDS: Final = 5_000
"""At a time: other partitions of the same process go on meanwhile."""
_FETCH_BYTES: Final = 8 * 1024 * 1024
"""Of this consumer only: a takeover reads one partition as fast as it can."""


@dataclass(slots=True)
class Contents:
    """The last value of every key, tombstones applied.

    Attributes:
        entries: state entries.
        progress: the value of ``__progress__``, if there is one.
        foreign: whether anything was read that is not the reader's own barrier.
    """

    entries: dict[bytes, bytes] = field(default_factory=dict)
    progress: bytes | None = None
    foreign: bool = False

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take one record; the later one wins."""
        self.foreign = True
        if key is None or key == entries.BARRIER:
            return
        if key == entries.PROGRESS:
            self.progress = value
        elif value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value


@dataclass(frozen=True, slots=True)
class Barrier:
    """Where reading ends: a token that was committed at an offset."""

    token: str
    offset: int


@dataclass(frozen=True, slots=True)
class ChangelogReader:
    """Reads one partition of the changelog, without a consumer group.

    Attributes:
        connection: which Kafka. Reading fails when nothing arrived for as long as one request may take.
        prefix: of all topics and groups.
        partition: which.
    """

    connection: KafkaConnection
    prefix: str
    partition: int

    @property
    def topic(self) -> str:
        """Full name of the changelog."""
        return self.prefix + CHANGELOG

    @property
    def where(self) -> str:
        """For sentences."""
        return f"{self.topic}[{self.partition}]"

    async def read(self, barrier: Barrier, progress: Callable[[int, int], None], at: Points = nowhere) -> Contents:
        """Everything from the beginning to the barrier.

        Args:
            barrier: one's own.
            progress: told how far reading is: the offset read and the barrier's.
            at: passes ``mid-restore`` once, after the first records.

        Raises:
            ServerError: Kafka is away; :class:`LedgerLost` if a newer barrier stands there: somebody else took over.
            StateError: the log has been cut.
        """
        async with self._assigned() as consumer:
            tp = TopicPartition(self.topic, self.partition)
            beginnings = await attempt(consumer.beginning_offsets([tp]), self.connection, f"reading {self.where}")
            if beginnings[tp] > 0:
                raise StateError(
                    f"{self.where} no longer holds what stood before offset {beginnings[tp]}: state is missing",
                    hint=f"It must be compacted only, and nobody may delete its records. {begin_anew(self.prefix)}",
                )
            return await self._collect(consumer, 0, barrier, progress, at)

    async def read_since(self, offset: int, barrier: Barrier) -> Contents:
        """What stands from an offset to the barrier. Raises as :meth:`read`."""
        async with self._assigned() as consumer:
            return await self._collect(consumer, offset, barrier, lambda _read, _end: None, nowhere)

    @asynccontextmanager
    async def _assigned(self) -> AsyncIterator[Any]:
        consumer = self.connection.consumer(
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        try:
            await attempt(consumer.start(), self.connection, f"reading {self.where}")
            yield consumer
        finally:
            await let_go(consumer.stop())

    async def _collect(
        self, consumer: Any, begin: int, barrier: Barrier, progress: Callable[[int, int], None], at: Points
    ) -> Contents:
        tp = TopicPartition(self.topic, self.partition)
        consumer.assign([tp])
        consumer.seek(tp, begin)
        contents, position, found = Contents(), begin, False
        clock = asyncio.get_running_loop().time
        heard_s = clock()
        progress(begin, barrier.offset)
        while not found and position <= barrier.offset:
            records = await self._fetch(consumer, tp)
            found = self._apply(contents, records, barrier)
            before, position = position, await consumer.position(tp)
            if position > before:
                heard_s = clock()
                progress(min(position, barrier.offset), barrier.offset)
                await at("mid-restore")
                at = nowhere
            elif clock() - heard_s > self.connection.request_timeout_s:
                raise ServerError(
                    f"Kafka at {self.connection.bootstrap_servers} does not answer (reading {self.where})",
                    hint="Does every partition have a leader?",
                )
        if not found:
            raise self._overtaken()
        return contents

    async def _fetch(self, consumer: Any, tp: TopicPartition) -> list[Any]:
        try:
            arrived = await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=_RECORDS)
        except errors.OffsetOutOfRangeError as error:
            raise ServerError(f"{self.where} was cut while it was being read") from error
        except (errors.KafkaError, OSError) as error:
            raise as_server_error(error, self.connection, f"reading {self.where}") from error
        return list(arrived.get(tp, ()))

    def _apply(self, contents: Contents, records: list[Any], barrier: Barrier) -> bool:
        """Take records in; returns whether one's own barrier was among them."""
        for record in records:
            if record.offset == barrier.offset:
                if record.key == entries.BARRIER and entries.token_of(record.value or b"") == barrier.token:
                    return True
                raise self._overtaken()
            if record.offset > barrier.offset:
                raise self._overtaken()
            contents.apply(record.key, record.value)
        return False

    def _overtaken(self) -> LedgerLost:
        """A newer barrier has made compaction drop one's own."""
        return LedgerLost(f"another process took over {self.where} while it was being read", fenced=True)


def begin_anew(prefix: str) -> str:
    """What an operator can do who accepts that state is lost."""
    return (
        f"To begin anew without it, stop streamer, delete the topic {prefix}{CHANGELOG} and the consumer group "
        f"{prefix}correlate, and run `streamer setup`: what the detections topic still holds is then read again, and "
        "its alerts are told again under the same ids."
    )
