"""Raw topics in: all partitions of some topics, from stored positions, in batches.

Positions are kept by whoever stores the state (in one transaction with it), never by a consumer group: a group's
offset would be another truth. Therefore every partition is assigned by hand and every position is ours. Whatever the
client raises, the next read starts again where the last batch ended, because the client may have skipped records
that it had read and not handed over.

The append time of a record is the broker's where the topic has ``message.timestamp.type=LogAppendTime``. With
``CreateTime`` there is only the producer's stamp, which may be wrong; it is used, but never later than now. Set
``LogAppendTime`` on raw topics: then a wrong clock of a shipper cannot hide behind its own stamp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition, errors

from streamer.errors import ServerError, StateError
from streamer.kafka.complaints import as_server_error, attempt, let_go
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.gaps import Gap, existing_positions
from streamer.kafka.hearing import Hearing
from streamer.kafka.records import as_record
from streamer.kafka.topics import partitions_of
from streamer.model import Record
from streamer.ports import Batch, Partition


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds of one batch and of what the client holds in memory.

    Attributes:
        records: most records of a batch.
        bytes: a batch ends with the record that goes over this.
        fetch_bytes: most bytes fetched ahead per partition, compressed.
        refresh_s: how often new partitions are looked for, in seconds.
        silence_s: after how many seconds without any answer of the broker reading fails with ``ServerError``.
    """

    records: int = 2_000
    bytes: int = 16 * 1024 * 1024
    fetch_bytes: int = 1024 * 1024
    refresh_s: float = 30.0
    silence_s: float = 15.0


class KafkaReader:
    """A :class:`~streamer.ports.Reader` of raw topics; positions are next offsets.

    ``start`` may be called again after it failed, and after :meth:`stop`. ``read`` may be called again after it
    raised a retriable ``ServerError``: nothing is skipped. :meth:`partitions` grows when a topic gets new partitions.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Sequence[str],
        *,
        now_us: Callable[[], int],
        limits: ReadLimits | None = None,
    ) -> None:
        self._connection = connection
        self._topics = tuple(dict.fromkeys(topics))
        self._now_us = now_us
        self._limits = limits or ReadLimits()
        self._consumer: Any = None
        self._next: dict[TopicPartition, int] = {}
        self._backlog: deque[Record] = deque()
        self._gaps: list[Gap] = []
        self._hearing = Hearing(now_us, self._limits.silence_s)

    async def start(self, positions: Mapping[Partition, object]) -> None:
        """See :meth:`streamer.ports.Reader.start`; a position that no longer exists is a :class:`Gap`."""
        await self.stop()
        ours = {partition: value for partition, value in positions.items() if partition[0] in self._topics}
        stored = {partition: _offset(partition, value) for partition, value in ours.items()}
        numbers = await partitions_of(self._connection, self._topics)
        everything = [TopicPartition(topic, number) for topic in self._topics for number in sorted(numbers[topic])]
        consumer = self._connection.consumer(
            auto_offset_reset="none",
            isolation_level="read_committed",
            metadata_max_age_ms=int(self._limits.refresh_s * 1000),
            max_partition_fetch_bytes=self._limits.fetch_bytes,
        )
        self._consumer = consumer
        try:
            await attempt(consumer.start(), self._connection, "connecting")
            start = await self._existing({tp: stored.get((tp.topic, tp.partition)) for tp in everything})
        except BaseException:
            await self.stop()
            raise
        self._assign(start)
        self._hearing = Hearing(self._now_us, self._limits.silence_s)

    def partitions(self) -> frozenset[Partition]:
        """See :meth:`streamer.ports.Reader.partitions`; may grow with every :meth:`read`."""
        return frozenset((tp.topic, tp.partition) for tp in self._next)

    def take_gaps(self) -> tuple[Gap, ...]:
        """Gaps found since the last call."""
        gaps, self._gaps = tuple(self._gaps), []
        return gaps

    async def read(self, timeout_s: float) -> Batch:
        """See :meth:`streamer.ports.Reader.read`."""
        if self._consumer is None:
            raise ServerError("the reader of Kafka topics has not been started")
        if not self._backlog:
            self._adopt_new_partitions()
            await self._fetch(timeout_s)
        records = self._take()
        positions: dict[Partition, object] = {}
        for record in records:
            positions[record.position.source, record.position.partition] = record.position.offset + 1
        at_end = await self._at_end()
        if not records:
            await self._notice_silence()
        return Batch(records=tuple(records), positions=positions, at_end=at_end)

    async def stop(self) -> None:
        """See :meth:`streamer.ports.Reader.stop`."""
        consumer, self._consumer = self._consumer, None
        self._next, self._backlog = {}, deque()
        if consumer is not None:
            await let_go(consumer.stop())

    async def _fetch(self, timeout_s: float) -> None:
        """Move what has arrived into the backlog; positions move with it."""
        try:
            arrived = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=self._limits.records)
        except errors.OffsetOutOfRangeError as error:
            lost = {TopicPartition(*tp): offset for tp, offset in error.args[0].items()}
            self._reseat(await self._existing({tp: self._next.get(tp, offset) for tp, offset in lost.items()}))
            self._reseat(self._next)
            return
        except (errors.KafkaError, errors.ConsumerStoppedError, OSError) as error:
            self._reseat(self._next)
            raise as_server_error(error, self._connection, f"reading {', '.join(self._topics)}") from error
        now_us = self._now_us()
        for tp, fetched in arrived.items():
            expected = self._next[tp]
            for record in fetched:
                if record.offset >= expected:  # a seek can be overtaken by records already fetched
                    self._backlog.append(as_record(record, now_us))
                    self._next[tp] = record.offset + 1

    def _take(self) -> list[Record]:
        """The next batch of the backlog, bounded in number and bytes, never without a record if there is one."""
        taken: list[Record] = []
        size = 0
        while self._backlog and len(taken) < self._limits.records and size < self._limits.bytes:
            record = self._backlog.popleft()
            size += len(record.value)
            taken.append(record)
        return taken

    async def _at_end(self) -> frozenset[Partition]:
        """Partitions whose every record has been handed over."""
        waiting = {(record.position.source, record.position.partition) for record in self._backlog}
        ended = await self._hearing.at_end(self._consumer, self._next)
        return frozenset((tp.topic, tp.partition) for tp in ended) - waiting

    async def _notice_silence(self) -> None:
        """Raise if the broker has not answered for too long."""
        silent_s = self._hearing.silent_s()
        if silent_s is None:
            return
        await partitions_of(self._connection, self._topics)  # raises with the reason, if it can be told
        raise ServerError(
            f"Kafka at {self._connection.bootstrap_servers} has not answered for {silent_s} s "
            f"(reading {', '.join(self._topics)})",
            hint="Does every partition have a leader?",
        )

    def _adopt_new_partitions(self) -> None:
        """Read partitions that a topic has got since, from their beginning."""
        known = set(self._next)
        new = {
            TopicPartition(topic, number)
            for topic in self._topics
            for number in self._consumer.partitions_for_topic(topic) or ()
        } - known
        if new:
            self._assign(self._next | dict.fromkeys(sorted(new), 0))

    def _assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Assign and go to the positions at once: between the two the client must not look for positions itself."""
        self._next = dict(positions)
        self._consumer.assign(list(self._next))
        self._reseat(self._next)

    def _reseat(self, positions: Mapping[TopicPartition, int]) -> None:
        """Drop what was fetched and fetch again from here."""
        for tp, offset in positions.items():
            self._next[tp] = offset
            self._consumer.seek(tp, offset)

    async def _existing(self, wanted: Mapping[TopicPartition, int | None]) -> dict[TopicPartition, int]:
        """Positions that exist: the wanted ones where they do, else the beginning, and a gap."""
        found, gaps = await existing_positions(self._consumer, self._connection, wanted)
        self._gaps += gaps
        return found


def _offset(partition: Partition, value: object) -> int:
    if isinstance(value, int) and value >= 0:
        return value
    raise StateError(
        f"the stored position of {partition[0]}[{partition[1]}] is {value!r}, which is no Kafka offset",
        hint="The store was written for another kind of source; use a new store.",
    )
