"""A stretch of one raw partition once more, for rules that were not there when it was read.

Without a group and beside the reading that goes on: nothing is committed, and the bounds are the caller's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition, errors

from streamer.errors import ServerError
from streamer.kafka.complaints import as_server_error, attempt, let_go
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.records import as_record
from streamer.model import Record
from streamer.ports import Partition

_US_PER_MS: Final = 1_000
_BATCH: Final = 500
_TURN_MS: Final = 1_000
_SILENT_TURNS: Final = 30


@dataclass(frozen=True, slots=True)
class Stretch:
    """What to read again.

    Attributes:
        partition: which.
        until: records below this offset.
        span_us: how far back from the newest of them, by the broker's stamps.
        most: records at most; the newest count.
    """

    partition: Partition
    until: int
    span_us: int
    most: int


class Rereader:
    """Reads a stretch from its beginning to its end, once.

    Attributes:
        beginning: offset of the first record that may be read, once :meth:`batches` has begun.
        is_cut: whether ``most`` left out records that ``span_us`` asked for.
    """

    def __init__(self, connection: KafkaConnection, stretch: Stretch, *, now_us: Callable[[], int]) -> None:
        self.beginning = 0
        self.is_cut = False
        self._connection = connection
        self._stretch = stretch
        self._now_us = now_us
        self._doing = f"reading {stretch.partition[0]}[{stretch.partition[1]}] again"

    async def batches(self) -> AsyncIterator[list[Record]]:
        """The records, in order, some hundred at a time.

        Raises:
            ServerError: Kafka is away.
        """
        consumer = self._connection.consumer(auto_offset_reset="none", isolation_level="read_committed")
        try:
            await attempt(consumer.start(), self._connection, self._doing)
            tp = TopicPartition(*self._stretch.partition)
            consumer.assign([tp])
            await self._find_beginning(consumer, tp)
            consumer.seek(tp, self.beginning)
            while await consumer.position(tp) < self._stretch.until:
                records = await self._fetch(consumer, tp)
                if records:
                    yield records
        except (errors.KafkaError, errors.ConsumerStoppedError, OSError) as error:
            raise as_server_error(error, self._connection, self._doing) from error
        finally:
            await let_go(consumer.stop(), consumer._client.close())  # noqa: SLF001 (its stop may end half-way)

    async def _find_beginning(self, consumer: Any, tp: TopicPartition) -> None:
        first = (await attempt(consumer.beginning_offsets([tp]), self._connection, self._doing))[tp]
        until = self._stretch.until
        self.beginning = first
        if until <= first:
            return
        consumer.seek(tp, max(first, until - 1))
        newest = await self._fetch(consumer, tp)
        newest_us = (newest[0].append_time_us if newest else None) or self._now_us()
        since_ms = max(0, newest_us - self._stretch.span_us) // _US_PER_MS
        found = (await attempt(consumer.offsets_for_times({tp: since_ms}), self._connection, self._doing))[tp]
        asked = until if found is None else min(found.offset, until)
        self.beginning = max(first, asked, until - self._stretch.most)
        self.is_cut = self.beginning > max(first, asked)

    async def _fetch(self, consumer: Any, tp: TopicPartition) -> list[Record]:
        """Some records below the end; none where only markers of transactions are left."""
        for _ in range(_SILENT_TURNS):
            before = await consumer.position(tp)
            arrived = await consumer.getmany(tp, timeout_ms=_TURN_MS, max_records=_BATCH)
            now_us = self._now_us()
            records = [as_record(each, now_us) for each in arrived.get(tp, ()) if each.offset < self._stretch.until]
            if records or await consumer.position(tp) > before:
                return records
            if (consumer.highwater(tp) or 0) <= before:
                return []
        raise ServerError(f"Kafka at {self._connection.bootstrap_servers} does not answer ({self._doing})")
